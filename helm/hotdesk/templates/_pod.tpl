{{/* Pods: what all of them have in common, and the Deployments of them. */}}

{{- define "hotdesk.podSecurity" -}}
runAsNonRoot: true
{{- range $name := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- /* as a rule Helm takes out what is null */}}
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

{{/* What no pod of the chart is without. */}}
{{- define "hotdesk.podBasics" -}}
automountServiceAccountToken: false
# A Service called hotdesk-api would set HOTDESK_API_PORT, which hotdesk would take for a setting.
enableServiceLinks: false
securityContext:
  {{- include "hotdesk.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where it may run: a role's values. */}}
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

Probes. /readyz says whether a process is of use: it has read the log, and the log takes records. /healthz says that it
answers. A process that does not answer for a minute is started anew; one that is of no use is not, since that mends
nothing.

collect, control: not ready while /readyz says no. Nobody is sent to them by that; it holds up upgrades.

serve, run: /readyz decides once, at the start, so that nobody is sent to a replica that has not read the log. It is no
readiness probe: while Kafka is away every replica says no, and Kubernetes would take all of them out of the Service at
once. The login hook would then wait for its deadline instead of being told at once to let VICIdial choose, and nobody
could read what hotdesk still knows. The start may take an hour, for the same reason: Kafka may be away then, too.
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
    # those of the version before do not count
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
      # where replicas reach this process if it owns a cluster: no name leads to a single pod
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
    # until every node knows that it is leaving, logins are still sent here
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
      # readable for the group in podSecurity.fsGroup and nobody else
      defaultMode: 0440
      sources:
        - configMap:
            name: {{ .name }}
            items:
              - key: hotdesk.toml
                path: hotdesk.toml
        {{- include "hotdesk.projected" (dict "from" .root.Values.api.secrets.tokens "path" "secrets/tokens") | nindent 8 }}
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
    # its log is a file that one process owns
    type: Recreate
    {{- else }}
    # the new ones first: somebody always collects, decides and answers
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
        # other settings are other pods; for another password: kubectl rollout restart
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
  # While Kafka is away nobody is ready, and nodes must be able to go all the same.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "hotdesk.selector" $labels | nindent 6 }}
{{- end }}
{{- end -}}
