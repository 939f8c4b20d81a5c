"""The Helm chart, and the generator of its copied and tabulated parts.

Helm reads only files inside the chart. A symbolic link would do for `helm package`, which replaces it by the file; but
Argo CD refuses a chart with links that lead out of it, and Flux drops links from a repository. So the chart contains
copies of the alert rules and dashboards, and a test fails when they differ.
"""
