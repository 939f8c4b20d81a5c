{{/* Names and labels. */}}

{{- define "hotdesk.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "hotdesk.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
The name of an object, from `root` and `of`. A pod's name has 17 characters more than its Deployment's, and its host name,
which identifies a hotdesk process, is cut off after 63. So a name that is too long ends in a hash of all of it.
*/}}
{{- define "hotdesk.object" -}}
{{- $name := printf "%s-%s" (include "hotdesk.fullname" .root) .of -}}
{{- if gt (len $name) 46 -}}
{{- $name = printf "%s-%s" ($name | trunc 37 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "hotdesk.matchLabels" -}}
app.kubernetes.io/name: {{ include "hotdesk.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The labels that select the pods of one Deployment: `root`, `component`, and a collector's `group`. */}}
{{- define "hotdesk.selector" -}}
{{ include "hotdesk.matchLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- with .group }}
hotdesk/collector: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Labels of an object: `root`, `component`, and a collector's `group`. */}}
{{- define "hotdesk.labels" -}}
{{ include "hotdesk.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hotdesk
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a pod, without the chart's version: that alone is no reason to restart it. */}}
{{- define "hotdesk.podLabels" -}}
{{ include "hotdesk.selector" . }}
app.kubernetes.io/part-of: hotdesk
{{- range list .root.Values.commonLabels .more }}
{{- with . }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "hotdesk.serviceAccountName" -}}
{{- with .Values.serviceAccount.name }}{{ . }}{{ else }}{{ ternary (include "hotdesk.fullname" .) "default" .Values.serviceAccount.create }}{{ end -}}
{{- end -}}

{{/* The image, from `root` and a role's own `image`. */}}
{{- define "hotdesk.image" -}}
{{- $of := .root.Values.image -}}
{{- $own := .image | default dict -}}
{{- $tag := $own.tag | default $of.tag -}}
{{- $digest := $own.digest | default (ternary "" $of.digest (ne ($own.tag | default "") "")) -}}
{{- $of.repository -}}
{{- if or $tag (not $digest) }}:{{ $tag | default .root.Chart.AppVersion }}{{ end -}}
{{- with $digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* The collectors, as JSON: the clusters' names by the collector that reads them. */}}
{{- define "hotdesk.collectors" -}}
{{- $groups := dict -}}
{{- range $name, $cluster := .Values.clusters -}}
{{- $group := ($cluster).collector | default $name -}}
{{- $_ := set $groups $group (append (get $groups $group | default list) $name) -}}
{{- end -}}
{{- toJson $groups -}}
{{- end -}}

{{/* The role whose pods the API's Service selects. */}}
{{- define "hotdesk.answering" -}}
{{- ternary "run" "serve" (eq .Values.layout "single") -}}
{{- end -}}
