{{/* Pods: their common parts, and their Deployments. */}}

{{- define "hotdesk.podSecurity" -}}
runAsNonRoot: true
{{- range $name := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- /* Helm usually drops values that are null. */}}
{{- if and (hasKey $.Values.podSecurity $name) (not (kindIs "invalid" (get $.Values.podSecurity $name))) }}
{{ $name }}: {{ get $.Values.podSecurity $name | int64 }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "hotdesk.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The common part of every pod. */}}
{{- define "hotdesk.podBasics" -}}
automountServiceAccountToken: false
# A Service called hotdesk-api would set HOTDESK_API_PORT, which hotdesk would read as a setting.
enableServiceLinks: false
securityContext:
  {{- include "hotdesk.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A role's scheduling, from its values. */}}
{{- define "hotdesk.scheduling" -}}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
{{- with get $ $name }}
{{ $name }}: {{ if kindIs "string" . }}{{ . | quote }}{{ else }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A projected secret: `from` is {existingSecret, key}. */}}
{{- define "hotdesk.projected" -}}
- secret:
    name: {{ .from.existingSecret | quote }}
    items:
      - key: {{ .from.key | quote }}
        path: {{ .path }}
{{- end -}}

{{/* Kafka's secrets as sources of a projected volume. */}}
{{- define "hotdesk.logSources" -}}
{{- range $setting, $secret := include "hotdesk.logSecrets" . | fromJson }}
{{ include "hotdesk.projected" (dict "from" $secret "path" (printf "secrets/log/%s" ($setting | trimSuffix "_file"))) }}
{{- end }}
{{- end -}}

{{/*
The pod of a `role`, for some `clusters`, with its values in `of`.

Probes. /readyz succeeds once a process has read the log and the log accepts records. /healthz succeeds if the process
answers. A process that does not answer for a minute is restarted; one that is not ready is not, since a restart would
not help.

collect, control: not ready while /readyz fails. The Service does not select them; readiness only delays upgrades.

serve, run: /readyz counts once, at the start, so that no request is sent to a replica that has not read the log. It is
not the readiness probe: while Kafka is unreachable it fails on every replica, and Kubernetes would remove all of them
from the Service at once. The login hook would then wait for its deadline instead of getting the answer to let VICIdial
choose, and the status page would be gone. The start may take an hour, for the same reason: Kafka may be unreachable then,
too.
*/}}
{{- define "hotdesk.pod" -}}
{{- $answers := has .role (list "serve" "run") -}}
{{- $labels := dict "root" .root "component" .role "group" .group -}}
serviceAccountName: {{ include "hotdesk.serviceAccountName" .root }}
{{ include "hotdesk.podBasics" .root }}
terminationGracePeriodSeconds: 20
{{- include "hotdesk.scheduling" .of }}
{{- if dig "topologySpread" "enabled" false .of }}
topologySpreadConstraints:
  {{- range $where := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $where }}
    whenUnsatisfiable: {{ $.of.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "hotdesk.selector" $labels | nindent 8 }}
    # Pods of the previous version do not count.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
containers:
  - name: {{ .role }}
    image: {{ include "hotdesk.image" (dict "root" .root "image" .of.image) | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: [hotdesk]
    args: [{{ .role }}]
    env:
      - name: HOTDESK_CONFIG
        value: {{ include "hotdesk.folder" . }}/hotdesk.toml
      - name: POD_IP
        valueFrom:
          fieldRef:
            fieldPath: status.podIP
      # The address at which replicas reach this process if it owns a cluster: a single pod has no DNS name.
      - name: HOTDESK_API_URL
        value: {{ printf (ternary "http://[$(POD_IP)]:%v" "http://$(POD_IP):%v" .root.Values.api.ipv6) .root.Values.api.port }}
    ports:
      - name: http
        containerPort: {{ .root.Values.api.port }}
        protocol: TCP
    startupProbe:
      httpGet:
        path: {{ ternary "/readyz" "/healthz" $answers }}
        port: http
      periodSeconds: 2
      timeoutSeconds: 2
      failureThreshold: {{ ternary 1800 60 $answers }}
    readinessProbe:
      httpGet:
        path: {{ ternary "/healthz" "/readyz" $answers }}
        port: http
      periodSeconds: 2
      timeoutSeconds: 2
      failureThreshold: 3
    livenessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    {{- if $answers }}
    # Requests still come in until every node knows that the pod is terminating.
    lifecycle:
      preStop:
        sleep:
          seconds: 5
    {{- end }}
    securityContext:
      {{- include "hotdesk.containerSecurity" . | nindent 6 }}
    resources:
      {{- toYaml .of.resources | nindent 6 }}
    volumeMounts:
      - name: settings
        mountPath: {{ include "hotdesk.folder" . }}
        readOnly: true
      {{- if eq .role "run" }}
      - name: log
        mountPath: /var/lib/hotdesk
      {{- end }}
volumes:
  - name: settings
    projected:
      # Readable only for the group in podSecurity.fsGroup.
      defaultMode: 0440
      sources:
        - configMap:
            name: {{ .name }}
            items:
              - key: hotdesk.toml
                path: hotdesk.toml
        {{- $tokens := .root.Values.api.secrets.tokens }}
        {{- if eq .role "collect" }}
        {{- $tokens = merge (dict "existingSecret" (.root.Values.api.secrets.collect_tokens.existingSecret | default $tokens.existingSecret)) .root.Values.api.secrets.collect_tokens }}
        {{- end }}
        {{- include "hotdesk.projected" (dict "from" $tokens "path" "secrets/tokens") | nindent 8 }}
        {{- with include "hotdesk.logSources" .root | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- range $name := .clusters }}
        {{- $cluster := get $.root.Values.clusters $name | default dict }}
        {{- range $setting, $secret := include "hotdesk.clusterSecrets" (dict "role" $.role "cluster" $cluster) | fromJson }}
        {{- include "hotdesk.projected" (dict "from" $secret "path" (printf "secrets/clusters/%s/%s" $name ($setting | trimSuffix "_file"))) | nindent 8 }}
        {{- end }}
        {{- end }}
  {{- if eq .role "run" }}
  - name: log
    {{- if .of.persistence.enabled }}
    persistentVolumeClaim:
      claimName: {{ .of.persistence.existingClaim | default .name }}
    {{- else }}
    emptyDir: {}
    {{- end }}
  {{- end }}
{{- end -}}

{{/* The ConfigMap and the Deployment of a `role`: `root`, `role`, `name`, `clusters`, its values `of`, a collector's `group`. */}}
{{- define "hotdesk.deployment" -}}
{{- $labels := dict "root" .root "component" .role "group" .group -}}
{{- $settings := include "hotdesk.settings" . -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "hotdesk.labels" $labels | nindent 4 }}
data:
  hotdesk.toml: |
    {{- $settings | nindent 4 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "hotdesk.labels" $labels | nindent 4 }}
spec:
  replicas: {{ .of.replicas | default 1 }}
  revisionHistoryLimit: 3
  strategy:
    {{- if eq .role "run" }}
    # The log is a file that only one process may open.
    type: Recreate
    {{- else }}
    # New pods first, so that a pod of each role always runs.
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
    {{- end }}
  selector:
    matchLabels:
      {{- include "hotdesk.selector" $labels | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "hotdesk.podLabels" (merge (dict "more" .of.podLabels) $labels) | nindent 8 }}
        hotdesk/scraped: "true"
      annotations:
        # Changed settings replace the pods; for a changed password: kubectl rollout restart
        hotdesk/settings: {{ sha256sum $settings }}
        {{- with .of.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "hotdesk.pod" . | nindent 6 }}
{{- if dig "podDisruptionBudget" "enabled" false .of }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "hotdesk.labels" $labels | nindent 4 }}
spec:
  maxUnavailable: {{ .of.podDisruptionBudget.maxUnavailable }}
  # While Kafka is unreachable no pod is ready, and nodes must be drained all the same.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "hotdesk.selector" $labels | nindent 6 }}
{{- end }}
{{- end -}}
