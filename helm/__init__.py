"""The Helm chart, and what makes the parts of it that are not written by hand.

Helm reads only what lies inside the chart. A symbolic link would do for `helm package`, which puts the file in its
place; but Argo CD refuses a chart with links that lead out of it, and Flux leaves links out of what it takes from a
repository. So the chart has copies of the alert rules and dashboards, and a test that says when they differ.
"""
