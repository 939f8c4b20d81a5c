{{/* Network policies. */}}

{{- define "hotdesk.peer" -}}
podSelector:
  matchLabels:
    {{- include "hotdesk.selector" . | nindent 4 }}
{{- end -}}

{{/* A rule to `ports` ([{protocol, port}]) of `cidrs`, or of all addresses without any. */}}
{{- define "hotdesk.egress" -}}
- ports:
    {{- range .ports }}
    - protocol: {{ .protocol }}
      port: {{ .port | int }}
    {{- end }}
  {{- with .cidrs }}
  to:
    {{- range . }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* An address as a CIDR in a list, as JSON; a host name is an empty list, since policies have no host names. */}}
{{- define "hotdesk.cidrs" -}}
{{- if regexMatch "^[0-9]+(\\.[0-9]+){3}$" . -}}
{{- list (printf "%s/32" .) | toJson -}}
{{- else if contains ":" . -}}
{{- list (printf "%s/128" .) | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* The ports at which a cluster's dialers are probed, as JSON: [{protocol, port}]. */}}
{{- define "hotdesk.probePorts" -}}
{{- $settings := .settings | default dict -}}
{{- $tcp := list -}}
{{- $udp := list -}}
{{- if $settings.ami_user }}{{ $tcp = append $tcp (int (default 5038 $settings.ami_port)) }}{{ end -}}
{{- if dig "sip" true $settings }}{{ $udp = append $udp (int (default 5060 $settings.sip_port)) }}{{ end -}}
{{- range $settings.probes -}}
{{- if and $settings.ami_user .ami_port }}{{ $tcp = append $tcp (int .ami_port) }}{{ end -}}
{{- if .sip_port }}{{ $udp = append $udp (int .sip_port) }}{{ else if .sip }}{{ $udp = append $udp (int (default 5060 $settings.sip_port)) }}{{ end -}}
{{- end -}}
{{- $ports := list -}}
{{- range $tcp | uniq }}{{ $ports = append $ports (dict "protocol" "TCP" "port" .) }}{{ end -}}
{{- range $udp | uniq }}{{ $ports = append $ports (dict "protocol" "UDP" "port" .) }}{{ end -}}
{{- toJson $ports -}}
{{- end -}}

{{/* The outgoing connections that a `role` needs for one cluster. */}}
{{- define "hotdesk.clusterEgress" -}}
{{- $settings := .cluster.settings | default dict -}}
{{- $acts := and (has .role (list "control" "run")) (eq ($settings.mode | default "advise") "act") -}}
{{- if or $acts (has .role (list "collect" "run")) }}
# the database of {{ .name }}
{{ include "hotdesk.egress" (dict "ports" (list (dict "protocol" "TCP" "port" (default 3306 $settings.port))) "cidrs" (include "hotdesk.cidrs" $settings.host | fromJsonArray)) }}
{{- end }}
{{- if has .role (list "collect" "run") }}
{{- with include "hotdesk.probePorts" .cluster | fromJsonArray }}
# the dialers of {{ $.name }}
{{ include "hotdesk.egress" (dict "ports" . "cidrs" $.cluster.dialerCidrs) }}
{{- end }}
{{- end }}
{{- if and $acts (eq (include "hotdesk.reloginVia" $.cluster) "api") }}
{{- range $settings.agent_api }}
{{- $url := urlParse . }}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) }}
# the agent API of {{ $.name }}
{{ include "hotdesk.egress" (dict "ports" (list (dict "protocol" "TCP" "port" $port)) "cidrs" (include "hotdesk.cidrs" $url.hostname | fromJsonArray)) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The ports of Kafka's brokers, as JSON. */}}
{{- define "hotdesk.kafkaPorts" -}}
{{- $ports := .Values.networkPolicy.kafka.ports -}}
{{- if not $ports -}}
{{- range .Values.log.settings.bootstrap }}{{ $ports = append $ports (regexFind "[0-9]+$" . | int) }}{{ end -}}
{{- end -}}
{{- $found := list -}}
{{- range $ports | uniq }}{{ $found = append $found (dict "protocol" "TCP" "port" .) }}{{ end -}}
{{- toJson $found -}}
{{- end -}}

{{/*
The policy of a `component`, whose outgoing connections follow from its role. Peers in `from` may connect to it, or all
with `anybody`. With `hook` it is created and deleted with the Helm hook that it serves.
*/}}
{{- define "hotdesk.networkPolicy" -}}
{{- $root := .root -}}
{{- $labels := dict "root" .root "component" .component "group" .group -}}
{{- $of := .component -}}
{{- with .group }}{{ $of = printf "%s-%s" $of . }}{{ end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "hotdesk.object" (dict "root" .root "of" $of) }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "hotdesk.labels" $labels | nindent 4 }}
  {{- with .hook }}
  annotations:
    helm.sh/hook: {{ . }}
    helm.sh/hook-weight: "-5"
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  {{- end }}
spec:
  podSelector:
    matchLabels:
      {{- include "hotdesk.selector" $labels | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- if or .anybody .from }}
  ingress:
    - ports:
        - protocol: TCP
          port: {{ .root.Values.api.port }}
      {{- if not .anybody }}
      from:
        {{- toYaml .from | nindent 8 }}
      {{- end }}
  {{- else }}
  ingress: []
  {{- end }}
  egress:
    # names
    - ports:
        {{- range .root.Values.networkPolicy.dnsPorts }}
        - protocol: UDP
          port: {{ . }}
        - protocol: TCP
          port: {{ . }}
        {{- end }}
    {{- if ne .component "run" }}
    # Kafka
    {{- include "hotdesk.egress" (dict "ports" (include "hotdesk.kafkaPorts" .root | fromJsonArray) "cidrs" .root.Values.networkPolicy.kafka.cidrs) | nindent 4 }}
    {{- end }}
    {{- if eq .component "serve" }}
    # the owners of the clusters
    - ports:
        - protocol: TCP
          port: {{ .root.Values.api.port }}
      to:
        - {{- include "hotdesk.peer" (dict "root" .root "component" "control") | nindent 10 }}
    {{- end }}
    {{- if eq .component "test" }}
    # the API
    - ports:
        - protocol: TCP
          port: {{ .root.Values.api.port }}
      to:
        - {{- include "hotdesk.peer" (dict "root" .root "component" (include "hotdesk.answering" .root)) | nindent 10 }}
    {{- end }}
    {{- range $name := .clusters | sortAlpha }}
    {{- with include "hotdesk.clusterEgress" (dict "role" $.component "name" $name "cluster" (get $root.Values.clusters $name)) | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- end }}
{{- end -}}
