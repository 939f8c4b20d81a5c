{{/* hotdesk's own settings, from the values. */}}

{{/*
A value as TOML. Helm's own toToml would write 3306 as 3306.0: it treats every number as a float. JSON's texts, numbers
and booleans are valid TOML.
*/}}
{{- define "hotdesk.toml" -}}
{{- if kindIs "map" . -}}
{ {{ range $number, $key := keys . | sortAlpha }}{{ if $number }}, {{ end }}{{ toJson $key }} = {{ include "hotdesk.toml" (get $ $key) }}{{ end }} }
{{- else if kindIs "slice" . -}}
[{{ range $number, $each := . }}{{ if $number }}, {{ end }}{{ include "hotdesk.toml" $each }}{{ end }}]
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* The lines of a table: those of `settings` that are in `keys` and not empty. */}}
{{- define "hotdesk.table" -}}
{{- $settings := .settings | default dict -}}
{{- range $key := .keys -}}
{{- if hasKey $settings $key -}}
{{- $value := get $settings $key -}}
{{- if not (or (kindIs "invalid" $value) (and (kindIs "string" $value) (eq $value ""))) }}
{{ $key }} = {{ include "hotdesk.toml" $value }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The folder of the settings' file; the secrets' files are below it. */}}
{{- define "hotdesk.folder" -}}/etc/hotdesk{{- end -}}

{{/*
The settings of a cluster that a role needs. A role that does not use a cluster's database gets neither its address nor
its password.
*/}}
{{- define "hotdesk.keys" -}}
{{- $database := list "host" "port" "user" "database" -}}
{{- $probes := list "ami_user" "ami_port" "sip" "sip_port" "sip_pace" "probes" -}}
{{- $policy := list "mode" "relogin_via" "max_agents" "max_agents_of" "stalled_after_seconds" "emergency_logout" "fence" "dead_call_status" "act_on_heartbeat_alone" "wrapup_seconds" "moves_per_second" "moves_of_a_user" "restore_state" "tell_agents" "move_on_closed" "maintenance" -}}
{{- $acting := list "agent_api" "agent_api_user" -}}
{{- $keys := list -}}
{{- if has .role (list "collect" "run") }}{{ $keys = concat $keys $database $probes }}{{ end -}}
{{- if has .role (list "control" "serve" "run") }}{{ $keys = concat $keys $policy }}{{ end -}}
{{- if and .acts (has .role (list "control" "run")) }}{{ $keys = concat $keys $database $acting }}{{ end -}}
{{- $keys | uniq | toJson -}}
{{- end -}}

{{/* How a cluster's screens are reached: by SQL, unless there is an agent API to use. */}}
{{- define "hotdesk.reloginVia" -}}
{{- $settings := .settings | default dict -}}
{{- $settings.relogin_via | default (ternary "api" "sql" (not (empty $settings.agent_api))) -}}
{{- end -}}

{{/*
The settings of a cluster, with the account of `actAs` if the `role` acts and another one reads. A replica, which is not
told the addresses of the agent API, must judge as the owner does.
*/}}
{{- define "hotdesk.cluster" -}}
{{- $settings := deepCopy (.cluster.settings | default dict) -}}
{{- if $settings.agent_api -}}
{{- $_ := set $settings "relogin_via" (include "hotdesk.reloginVia" .cluster) -}}
{{- end -}}
{{- if and (eq .role "control") (dig "actAs" "user" "" .cluster) -}}
{{- $_ := set $settings "user" .cluster.actAs.user -}}
{{- end -}}
{{- toJson $settings -}}
{{- end -}}

{{/*
The secrets of a cluster that a role needs, as JSON: {setting: {existingSecret, key}}. The setting is the one that
names the file.
*/}}
{{- define "hotdesk.clusterSecrets" -}}
{{- $secrets := .cluster.secrets | default dict -}}
{{- $acts := and (has .role (list "control" "run")) (eq (dig "settings" "mode" "advise" .cluster) "act") -}}
{{- $needed := dict -}}
{{- if or $acts (has .role (list "collect" "run")) -}}
{{- $password := dig "password" dict $secrets -}}
{{- if and (eq .role "control") (dig "actAs" "user" "" .cluster) -}}
{{- $password = dig "actAs" "password" dict .cluster -}}
{{- end -}}
{{- $_ := set $needed "password_file" (merge dict $password (dict "key" "password")) -}}
{{- with $secrets.tls_ca -}}{{- $_ := set $needed "tls_ca" (merge dict . (dict "key" "ca.crt")) -}}{{- end -}}
{{- end -}}
{{- if has .role (list "collect" "run") -}}
{{- with $secrets.ami_secret -}}{{- $_ := set $needed "ami_secret_file" (merge dict . (dict "key" "ami-secret")) -}}{{- end -}}
{{- end -}}
{{- if and $acts (eq (include "hotdesk.reloginVia" .cluster) "api") -}}
{{- with $secrets.agent_api_password -}}{{- $_ := set $needed "agent_api_password_file" (merge dict . (dict "key" "agent-api-password")) -}}{{- end -}}
{{- end -}}
{{- $used := dict -}}
{{- range $setting, $secret := $needed -}}
{{- if $secret.existingSecret -}}{{- $_ := set $used $setting $secret -}}{{- end -}}
{{- end -}}
{{- toJson $used -}}
{{- end -}}

{{/* Kafka's secrets, as JSON: {setting: {existingSecret, key}}. */}}
{{- define "hotdesk.logSecrets" -}}
{{- $used := dict -}}
{{- if ne .Values.layout "single" -}}
{{- range $name, $setting := dict "sasl_password" "sasl_password_file" "tls_ca" "tls_ca" "tls_cert" "tls_cert" "tls_key" "tls_key" -}}
{{- $secret := get $.Values.log.secrets $name -}}
{{- if $secret.existingSecret -}}{{- $_ := set $used $setting $secret -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $used -}}
{{- end -}}

{{/* The TOML file of a `role` for some `clusters`. */}}
{{- define "hotdesk.settings" -}}
{{- $root := .root -}}
{{- $role := .role -}}
# Made by the Helm chart for `hotdesk {{ $role }}`; to change it, change the values.
[log]
{{- if eq $role "run" }}
path = "/var/lib/hotdesk/hotdesk.db"
{{- include "hotdesk.table" (dict "settings" $root.Values.log.settings "keys" (list "partitions")) }}
{{- else }}
{{- include "hotdesk.table" (dict "settings" $root.Values.log.settings "keys" (list "bootstrap" "prefix" "partitions" "replication" "security_protocol" "sasl_mechanism" "sasl_username")) }}
{{- range $setting, $secret := include "hotdesk.logSecrets" $root | fromJson }}
{{ $setting }} = {{ printf "%s/secrets/log/%s" (include "hotdesk.folder" $) ($setting | trimSuffix "_file") | toJson }}
{{- end }}
{{- end }}

[api]
host = {{ ternary "::" "0.0.0.0" $root.Values.api.ipv6 | toJson }}
port = {{ $root.Values.api.port }}
token_file = {{ printf "%s/secrets/tokens" (include "hotdesk.folder" .) | toJson }}
{{- with $root.Values.monitoring.links.grafana }}
grafana_url = {{ . | toJson }}
{{- end }}
{{- include "hotdesk.table" (dict "settings" $root.Values.api.settings "keys" (list "trusted_proxies" "picks_per_second" "picks_at_once" "visitor_picks_per_second" "visitor_picks_at_once" "cluster_picks_per_second" "cluster_picks_at_once" "orders_per_second" "orders_at_once")) }}
{{- range $name := .clusters }}
{{- $cluster := get $root.Values.clusters $name | default dict }}
{{- $settings := include "hotdesk.cluster" (dict "role" $role "cluster" $cluster) | fromJson }}
{{- $keys := include "hotdesk.keys" (dict "role" $role "acts" (eq ($settings.mode | default "advise") "act")) | fromJsonArray }}

[clusters.{{ $name }}]
{{- include "hotdesk.table" (dict "settings" $settings "keys" $keys) }}
{{- range $setting, $secret := include "hotdesk.clusterSecrets" (dict "role" $role "cluster" $cluster) | fromJson }}
{{ $setting }} = {{ printf "%s/secrets/clusters/%s/%s" (include "hotdesk.folder" $) $name ($setting | trimSuffix "_file") | toJson }}
{{- end }}
{{- end }}
{{- end -}}
