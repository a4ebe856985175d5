{{/* Parts of every pod. All take dict: root, component, values (those of the component). */}}

{{- define "rotor.podSecurityContext" -}}
runAsNonRoot: true
{{- with .root.Values.security }}
{{- if not (kindIs "invalid" .runAsUser) }}
runAsUser: {{ int64 .runAsUser }}
{{- end }}
{{- if not (kindIs "invalid" .runAsGroup) }}
runAsGroup: {{ int64 .runAsGroup }}
{{- end }}
{{- if not (kindIs "invalid" .fsGroup) }}
fsGroup: {{ int64 .fsGroup }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "rotor.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* What the three components have in common. */}}
{{- define "rotor.env" -}}
{{- $values := .root.Values -}}
- name: ROTOR_MODE
  value: production
- name: ROTOR_HOME
  value: /var/lib/rotor
- name: ROTOR_LOG_LEVEL
  value: {{ $values.settings.logLevel | quote }}
- name: ROTOR_DATABASE_URL_FILE
  value: /etc/rotor/database/url
{{- if $values.secrets.queue.name }}
- name: ROTOR_QUEUE_URL_FILE
  value: /etc/rotor/queue/url
{{- end }}
{{- if or $values.certificateAuthority.configMap $values.certificateAuthority.secret }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/rotor/ca/ca.crt
{{- end }}
{{- end -}}

{{/* What orchestrators and workers have besides. */}}
{{- define "rotor.processEnv" -}}
{{- $values := .root.Values -}}
{{ include "rotor.env" . }}
- name: ROTOR_KEY_FILE
  value: /etc/rotor/key/key
- name: ROTOR_MIGRATE
  value: {{ include "rotor.migrate" .root }}
- name: ROTOR_LEASE
  value: {{ printf "%ds" (int $values.settings.leaseSeconds) | quote }}
- name: ROTOR_SWEEP_INTERVAL
  value: {{ $values.settings.sweepInterval | quote }}
- name: ROTOR_JOURNAL_RETENTION
  value: {{ $values.settings.journalRetention | quote }}
- name: ROTOR_DRIFT_INTERVAL
  value: {{ $values.settings.driftInterval | quote }}
- name: ROTOR_READS_RETENTION
  value: {{ $values.settings.readsRetention | quote }}
{{- if $values.kubeconfig.secret }}
- name: KUBECONFIG
  value: /etc/rotor/kubeconfig/config
{{- end }}
{{- with $values.settings.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "rotor.volumeMounts" -}}
{{- $values := .root.Values -}}
- { name: home, mountPath: /var/lib/rotor }
- { name: tmp, mountPath: /tmp }
- { name: database, mountPath: /etc/rotor/database, readOnly: true }
{{- if $values.secrets.queue.name }}
- { name: queue, mountPath: /etc/rotor/queue, readOnly: true }
{{- end }}
{{- if or $values.certificateAuthority.configMap $values.certificateAuthority.secret }}
- { name: ca, mountPath: /etc/rotor/ca, readOnly: true }
{{- end }}
{{- if ne .component "migration" }}
- { name: key, mountPath: /etc/rotor/key, readOnly: true }
{{- if $values.kubeconfig.secret }}
- { name: kubeconfig, mountPath: /etc/rotor/kubeconfig, readOnly: true }
{{- end }}
{{- if include "rotor.mountsProviders" . }}
{{- range $index, $name := $values.providerSecrets }}
- { name: provider-{{ $index }}, mountPath: /etc/rotor/providers/{{ $name }}, readOnly: true }
{{- end }}
{{- end }}
{{- if eq .component "orchestrator" }}
{{- range $index, $name := $values.orchestratorSecrets }}
- { name: orchestrator-{{ $index }}, mountPath: /etc/rotor/orchestrator/{{ $name }}, readOnly: true }
{{- end }}
{{- if include "rotor.listensToHooks" .root }}
- { name: hooks, mountPath: /etc/rotor/hooks, readOnly: true }
{{- end }}
{{- else if $values.commands }}
- { name: commands, mountPath: /etc/rotor/commands, readOnly: true }
{{- end }}
{{- if .values.tokens }}
- { name: tokens, mountPath: /var/run/secrets/rotor, readOnly: true }
{{- end }}
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rotor.mountsProviders" -}}
{{- if and .root.Values.providerSecrets (or (eq .component "worker") .root.Values.orchestrator.plan) }}true{{ end -}}
{{- end -}}

{{/* One key of a Secret as one file. dict: volume, secret, key, path, mode */}}
{{- define "rotor.secretVolume" -}}
- name: {{ .volume }}
  secret:
    secretName: {{ .secret }}
    defaultMode: {{ int .mode }}
    items:
      - { key: {{ .key | quote }}, path: {{ .path }} }
{{- end -}}

{{- define "rotor.volumes" -}}
{{- $values := .root.Values -}}
{{- $secrets := $values.secrets -}}
{{- $mode := $secrets.fileMode -}}
{{- $database := $secrets.database -}}
{{- if and (eq .component "migration") $secrets.migration.name }}{{ $database = $secrets.migration }}{{ end -}}
- name: home
{{- if and $values.home.existingClaim (ne .component "migration") }}
  persistentVolumeClaim:
    claimName: {{ $values.home.existingClaim }}
{{- else }}
  emptyDir:
    sizeLimit: {{ $values.home.sizeLimit }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{ include "rotor.secretVolume" (dict "volume" "database" "secret" $database.name "key" $database.key "path" "url" "mode" $mode) }}
{{- if $secrets.queue.name }}
{{ include "rotor.secretVolume" (dict "volume" "queue" "secret" $secrets.queue.name "key" $secrets.queue.key "path" "url" "mode" $mode) }}
{{- end }}
{{- with $values.certificateAuthority }}
{{- if .configMap }}
- name: ca
  configMap:
    name: {{ .configMap }}
    items:
      - { key: {{ .key | quote }}, path: ca.crt }
{{- else if .secret }}
{{ include "rotor.secretVolume" (dict "volume" "ca" "secret" .secret "key" .key "path" "ca.crt" "mode" $mode) }}
{{- end }}
{{- end }}
{{- if ne .component "migration" }}
{{ include "rotor.secretVolume" (dict "volume" "key" "secret" $secrets.key.name "key" $secrets.key.key "path" "key" "mode" $mode) }}
{{- if $values.kubeconfig.secret }}
{{ include "rotor.secretVolume" (dict "volume" "kubeconfig" "secret" $values.kubeconfig.secret "key" $values.kubeconfig.key "path" "config" "mode" $mode) }}
{{- end }}
{{- if include "rotor.mountsProviders" . }}
{{- range $index, $name := $values.providerSecrets }}
- name: provider-{{ $index }}
  secret:
    secretName: {{ $name }}
    defaultMode: {{ int $mode }}
{{- end }}
{{- end }}
{{- if eq .component "orchestrator" }}
{{- range $index, $name := $values.orchestratorSecrets }}
- name: orchestrator-{{ $index }}
  secret:
    secretName: {{ $name }}
    defaultMode: {{ int $mode }}
{{- end }}
{{- if include "rotor.listensToHooks" .root }}
- name: hooks
  configMap: { name: {{ include "rotor.fullname" .root }}-hooks }
{{- end }}
{{- else if $values.commands }}
- name: commands
  # Nobody but root may write it, or it isn't believed.
  configMap: { name: {{ include "rotor.fullname" .root }}-commands, defaultMode: 292 }
{{- end }}
{{- with .values.tokens }}
- name: tokens
  projected:
    defaultMode: {{ int $mode }}
    sources:
    {{- range . }}
      - serviceAccountToken:
          path: {{ .name }}/token
          audience: {{ .audience | quote }}
          expirationSeconds: {{ default 3600 .expirationSeconds }}
    {{- end }}
{{- end }}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Annotations of the pods. What is read from a ConfigMap at start begins anew when it changes. */}}
{{- define "rotor.podAnnotations" -}}
{{- $read := dict "orchestrator" (ternary .root.Values.hooks "" (ne (include "rotor.listensToHooks" .root) "")) "worker" .root.Values.commands }}
{{- with get $read .component }}
rotor.dev/configuration: {{ toJson . | sha256sum | trunc 16 | quote }}
{{- end }}
{{- with .values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rotor.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: {{ .port }} }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: {{ .port }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: {{ .port }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* Where its pods run. */}}
{{- define "rotor.placement" -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if kindIs "string" .values.topologySpreadConstraints }}
topologySpreadConstraints:
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "rotor.selector" $ | nindent 8 }}
    # Of an upgrade the new pods are spread among themselves.
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- else if .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- end }}
{{- end -}}
