{{/*
Refuse values that contradict each other or are incomplete: all of them at once, each with what to write instead. Values
of the wrong form are refused by values.schema.json before.
*/}}
{{- define "hotdesk.validate" -}}
{{- $wrong := list -}}
{{- range $each := list "moved" "image" "log" "api" "clusters" "roles" "monitoring" "labels" -}}
{{- $wrong = concat $wrong (include (printf "hotdesk.wrong.%s" $each) $ | fromJsonArray) -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "hotdesk: these values are incomplete or contradict each other:\n- %s\n" (join "\n- " $wrong)) -}}
{{- end -}}
{{- end -}}

{{/* Names of values in other charts, or in older versions of this one. Add a renamed value here. */}}
{{- define "hotdesk.wrong.moved" -}}
{{- $wrong := list -}}
{{- range $old, $new := dict
  "replicaCount" "collect.replicas, control.replicas and serve.replicas"
  "kafka" "log.settings.bootstrap and the other settings of docs/reference/settings.md"
  "ingress" "service.type, or an Ingress of your own to the Service"
  "serviceMonitor" "monitoring.serviceMonitor"
  "prometheusRule" "monitoring.prometheusRule"
-}}
{{- if hasKey $.Values $old -}}
{{- $wrong = append $wrong (printf "%s is no value of this chart: write %s" $old $new) -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "hotdesk.wrong.image" -}}
{{- $wrong := list -}}
{{- if not .Values.image.repository -}}
{{- $wrong = append $wrong "image.repository is empty, and there is no public image: build the Containerfile, push it, and write its name, such as image.repository=registry.example/hotdesk" -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "hotdesk.wrong.log" -}}
{{- $wrong := list -}}
{{- $log := .Values.log.settings -}}
{{- $secrets := .Values.log.secrets -}}
{{- if eq .Values.layout "single" -}}
{{- if $log.bootstrap -}}
{{- $wrong = append $wrong "layout is single, whose log is a file, and log.settings.bootstrap names Kafka brokers: leave out log.settings.bootstrap, or write layout: roles" -}}
{{- end -}}
{{- else -}}
{{- if not $log.bootstrap -}}
{{- $wrong = append $wrong "log.settings.bootstrap names no Kafka broker, and collectors, controllers and replicas need one log: write log.settings.bootstrap: [\"kafka1:9092\"], or layout: single for one process with its log in a file" -}}
{{- end -}}
{{- $sasl := hasPrefix "SASL_" $log.security_protocol -}}
{{- $tls := hasSuffix "SSL" $log.security_protocol -}}
{{- range $what, $is := dict "log.settings.sasl_mechanism" $log.sasl_mechanism "log.settings.sasl_username" $log.sasl_username "log.secrets.sasl_password.existingSecret" $secrets.sasl_password.existingSecret -}}
{{- if and $sasl (not $is) -}}
{{- $wrong = append $wrong (printf "log.settings.security_protocol is %s, and %s is empty: set it, or write security_protocol: %s" $log.security_protocol $what (ternary "SSL" "PLAINTEXT" $tls)) -}}
{{- else if and $is (not $sasl) -}}
{{- $wrong = append $wrong (printf "%s is set, and log.settings.security_protocol is %s, which has no passwords: write security_protocol: %s, or leave it out" $what $log.security_protocol (ternary "SASL_SSL" "SASL_PLAINTEXT" $tls)) -}}
{{- end -}}
{{- end -}}
{{- range $what := list "tls_ca" "tls_cert" "tls_key" -}}
{{- if and (get $secrets $what).existingSecret (not $tls) -}}
{{- $wrong = append $wrong (printf "log.secrets.%s is set, and log.settings.security_protocol is %s, which has no TLS: write security_protocol: %s, or leave it out" $what $log.security_protocol (ternary "SASL_SSL" "SSL" $sasl)) -}}
{{- end -}}
{{- end -}}
{{- range $one, $other := dict "tls_cert" "tls_key" "tls_key" "tls_cert" -}}
{{- if and (get $secrets $one).existingSecret (not (get $secrets $other).existingSecret) -}}
{{- $wrong = append $wrong (printf "log.secrets.%s is set without log.secrets.%s: a certificate and its key go together, so set log.secrets.%s.existingSecret, too" $one $other $other) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "hotdesk.wrong.api" -}}
{{- $wrong := list -}}
{{- if not .Values.api.secrets.tokens.existingSecret -}}
{{- $wrong = append $wrong "api.secrets.tokens.existingSecret is empty, and hotdesk answers other machines only with tokens: write a file with lines such as 'pick TOKEN', then kubectl create secret generic hotdesk-tokens --from-file=tokens=FILE, and api.secrets.tokens.existingSecret: hotdesk-tokens" -}}
{{- end -}}
{{- $tokens := .Values.api.secrets.tokens -}}
{{- $collect := .Values.api.secrets.collect_tokens -}}
{{- if and (ne .Values.layout "single") (eq $tokens.key $collect.key) (eq ($collect.existingSecret | default $tokens.existingSecret) $tokens.existingSecret) -}}
{{- $wrong = append $wrong (printf "api.secrets.collect_tokens and api.secrets.tokens are the same key %s of one Secret, and collectors must not have the tokens that give orders: write a file with a line such as 'read sha256:DIGEST' into another key, and its name into api.secrets.collect_tokens.key" $tokens.key) -}}
{{- end -}}
{{- $test := .Values.api.secrets.test_token -}}
{{- if and (eq $tokens.key $test.key) (eq ($test.existingSecret | default $tokens.existingSecret) $tokens.existingSecret) -}}
{{- $wrong = append $wrong (printf "api.secrets.test_token and api.secrets.tokens are the same key %s of one Secret, and helm test must not have the tokens that give orders: write a line such as 'read TOKEN' into another key, and its name into api.secrets.test_token.key" $tokens.key) -}}
{{- end -}}
{{- with .Values.service -}}
{{- if and .loadBalancerSourceRanges (ne .type "LoadBalancer") -}}
{{- $wrong = append $wrong (printf "service.loadBalancerSourceRanges is set, and service.type is %s, which does not check source addresses: write service.type: LoadBalancer, or use networkPolicy.apiFrom" .type) -}}
{{- end -}}
{{- if and .nodePort (eq .type "ClusterIP") -}}
{{- $wrong = append $wrong "service.nodePort is set, and service.type is ClusterIP, which has none: write service.type: NodePort" -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "hotdesk.wrong.clusters" -}}
{{- $wrong := list -}}
{{- if not .Values.clusters -}}
{{- $wrong = append $wrong "clusters is empty, so there is nothing to collect from: write clusters: {main: {settings: {host: 10.0.0.5}, secrets: {password: {existingSecret: main-database}}}}" -}}
{{- end -}}
{{- range $name, $cluster := .Values.clusters -}}
{{- $wrong = concat $wrong (include "hotdesk.wrong.cluster" (dict "name" $name "cluster" ($cluster | default dict)) | fromJsonArray) -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "hotdesk.wrong.cluster" -}}
{{- $wrong := list -}}
{{- $at := printf "clusters.%s" .name -}}
{{- $settings := .cluster.settings | default dict -}}
{{- $secrets := .cluster.secrets | default dict -}}
{{- $own := .cluster.actAs | default dict -}}
{{- range $key, $secret := dict "password" "password" "password_file" "password" "ami_secret" "ami_secret" "ami_secret_file" "ami_secret" "agent_api_password" "agent_api_password" "agent_api_password_file" "agent_api_password" "tls_ca" "tls_ca" -}}
{{- if hasKey $settings $key -}}
{{- $wrong = append $wrong (printf "%s.settings.%s: the values contain no secrets and no files: put it into a Secret, and write %s.secrets.%s.existingSecret" $at $key $at $secret) -}}
{{- end -}}
{{- end -}}
{{- if hasKey $settings "socket" -}}
{{- $wrong = append $wrong (printf "%s.settings.socket: a pod cannot reach a socket of the database's machine: write %s.settings.host" $at $at) -}}
{{- end -}}
{{- $host := $settings.host | default "" -}}
{{- if or (not $host) (has $host (list "localhost" "127.0.0.1" "::1")) -}}
{{- $wrong = append $wrong (printf "%s.settings.host is %s, and no database answers within the pod: write the address of VICIdial's database server" $at ($host | default "empty")) -}}
{{- else if regexMatch "^[^:]+:[0-9]+$" $host -}}
{{- $wrong = append $wrong (printf "%s.settings.host is %s: write the port separately, in %s.settings.port" $at $host $at) -}}
{{- end -}}
{{- if not (dig "password" "existingSecret" "" $secrets) -}}
{{- $wrong = append $wrong (printf "%s.secrets.password.existingSecret is empty: kubectl create secret generic %s-database --from-file=password=FILE, and write %s.secrets.password.existingSecret: %s-database" $at .name $at .name) -}}
{{- end -}}
{{- $ami := dig "ami_secret" "existingSecret" "" $secrets -}}
{{- if and $settings.ami_user (not $ami) -}}
{{- $wrong = append $wrong (printf "%s.settings.ami_user is %s, and its secret is not named: write %s.secrets.ami_secret.existingSecret, or leave out ami_user" $at $settings.ami_user $at) -}}
{{- else if and $ami (not $settings.ami_user) -}}
{{- $wrong = append $wrong (printf "%s.secrets.ami_secret is set without an account: write %s.settings.ami_user, or leave out the secret" $at $at) -}}
{{- end -}}
{{- $api := dig "agent_api_password" "existingSecret" "" $secrets -}}
{{- $acts := eq ($settings.mode | default "advise") "act" -}}
{{- if and $acts (eq (include "hotdesk.reloginVia" .cluster) "api") -}}
{{- if not $settings.agent_api -}}
{{- $wrong = append $wrong (printf "%s.settings.relogin_via is api, and agent_api is not set: write %s.settings.agent_api: [\"https://web1/agc/api.php\"], and its account, or relogin_via: sql, or mode: advise" $at $at) -}}
{{- else if not (and $settings.agent_api_user $api) -}}
{{- $wrong = append $wrong (printf "%s.settings.mode is act by VICIdial's agent API, and its account is not complete: write %s.settings.agent_api_user and %s.secrets.agent_api_password.existingSecret, or relogin_via: sql" $at $at $at) -}}
{{- end -}}
{{- else if and $acts (or $settings.agent_api $settings.agent_api_user $api) -}}
{{- $wrong = append $wrong (printf "%s.settings.relogin_via is sql, and an agent API is set that is not used: leave out agent_api, agent_api_user and secrets.agent_api_password, or write relogin_via: api" $at) -}}
{{- end -}}
{{- if and $own.user (not (dig "password" "existingSecret" "" $own)) -}}
{{- $wrong = append $wrong (printf "%s.actAs.user is %s, and its password is not named: write %s.actAs.password.existingSecret" $at $own.user $at) -}}
{{- end -}}
{{- if and (dig "password" "existingSecret" "" $own) (not $own.user) -}}
{{- $wrong = append $wrong (printf "%s.actAs.password is set without an account: write %s.actAs.user" $at $at) -}}
{{- end -}}
{{- if and $own.user (not $acts) -}}
{{- $wrong = append $wrong (printf "%s.actAs is set, and nothing acts: write %s.settings.mode: act, or leave out actAs" $at $at) -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "hotdesk.wrong.roles" -}}
{{- $wrong := list -}}
{{- $partitions := .Values.log.settings.partitions | int -}}
{{- if eq .Values.layout "roles" -}}
{{- if gt (.Values.control.replicas | int) $partitions -}}
{{- $wrong = append $wrong (printf "control.replicas is %v, and each of the %d log.settings.partitions has one owner: the other replicas would be idle, so write control.replicas: %d at most" .Values.control.replicas $partitions $partitions) -}}
{{- end -}}
{{- else -}}
{{- with .Values.single.persistence -}}
{{- if and .existingClaim (not .enabled) -}}
{{- $wrong = append $wrong "single.persistence.existingClaim is set, and single.persistence.enabled is false: write enabled: true, or leave out the claim" -}}
{{- end -}}
{{- end -}}
{{- range $name, $cluster := .Values.clusters -}}
{{- if dig "actAs" "user" "" ($cluster | default dict) -}}
{{- $wrong = append $wrong (printf "clusters.%s.actAs: with layout single one process reads and acts, by one account: leave out actAs, or write layout: roles" $name) -}}
{{- end -}}
{{- if dig "collector" "" ($cluster | default dict) -}}
{{- $wrong = append $wrong (printf "clusters.%s.collector: with layout single one process reads every cluster: leave it out, or write layout: roles" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (hasKey .Values.podSecurity "runAsUser") (not (kindIs "invalid" .Values.podSecurity.runAsUser)) (eq (.Values.podSecurity.runAsUser | int64) 0) -}}
{{- $wrong = append $wrong "podSecurity.runAsUser is 0, and no pod of this chart runs as root: write another user, or null if the cluster chooses one" -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "hotdesk.wrong.monitoring" -}}
{{- $wrong := list -}}
{{- with .Values.monitoring.serviceMonitor -}}
{{- if .enabled -}}
{{- if not .secrets.token.existingSecret -}}
{{- $wrong = append $wrong "monitoring.serviceMonitor is enabled, and Prometheus would be refused: put a token of scope read, and nothing else, into a Secret, and write monitoring.serviceMonitor.secrets.token.existingSecret" -}}
{{- end -}}
{{- $interval := trimSuffix "s" .interval | int -}}
{{- if gt (trimSuffix "s" .scrapeTimeout | int) $interval -}}
{{- $wrong = append $wrong (printf "monitoring.serviceMonitor.scrapeTimeout is %s, longer than the interval, which Prometheus refuses: write %s at most" .scrapeTimeout .interval) -}}
{{- end -}}
{{- if and $.Values.monitoring.prometheusRule.enabled (gt $interval 5) -}}
{{- $wrong = append $wrong (printf "monitoring.serviceMonitor.interval is %s, and above 5s some of the alerts fire falsely: write 5s or less, or leave monitoring.prometheusRule out" .interval) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}

{{- define "hotdesk.wrong.labels" -}}
{{- $wrong := list -}}
{{- $ours := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/part-of" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" "hotdesk/collector" "hotdesk/scraped" -}}
{{- range $where, $labels := dict "commonLabels" .Values.commonLabels "collect.podLabels" .Values.collect.podLabels "control.podLabels" .Values.control.podLabels "serve.podLabels" .Values.serve.podLabels "single.podLabels" .Values.single.podLabels -}}
{{- range $label, $_ := $labels -}}
{{- if has $label $ours -}}
{{- $wrong = append $wrong (printf "%s has %s, by which the chart selects its own pods: use another name for the label" $where $label) -}}
{{- end -}}
{{- if and (ne $where "commonLabels") (hasKey $.Values.commonLabels $label) -}}
{{- $wrong = append $wrong (printf "%s and commonLabels both have %s: leave one out" $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $wrong -}}
{{- end -}}
