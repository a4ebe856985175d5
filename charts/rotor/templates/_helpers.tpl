{{/* Names, labels, images. */}}

{{- define "rotor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is appended to it: names of Services have 63 letters. */}}
{{- define "rotor.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "rotor.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "rotor.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What finds the pods of a component; never changes, since selectors of Deployments can't. dict: root, component */}}
{{- define "rotor.selector" -}}
app.kubernetes.io/name: {{ include "rotor.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* dict: root, component */}}
{{- define "rotor.labels" -}}
{{ include "rotor.selector" . }}
app.kubernetes.io/part-of: rotor
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rotor.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* dict: root, component (orchestrator, worker or migration) */}}
{{- define "rotor.serviceAccountName" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
{{- default (printf "%s-%s" (include "rotor.fullname" .root) .component) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{/* Whether the pods of a component speak to this cluster, as their ServiceAccount; "true" or nothing. dict: root, component */}}
{{- define "rotor.speaksToCluster" -}}
{{- $values := .root.Values -}}
{{- $delivers := or $values.namespaces $values.storeNamespaces $values.rbac.clusterWide -}}
{{- if $values.kubeconfig.secret -}}
{{- else if eq .component "worker" -}}
{{- if $delivers }}true{{ end -}}
{{- else if eq .component "orchestrator" -}}
{{- if or $values.watchNamespaces (and $delivers (or $values.orchestrator.plan $values.rbac.discovery)) }}true{{ end -}}
{{- end -}}
{{- end -}}

{{/* Whether there are senders that may report, or queues with events; "true" or nothing. */}}
{{- define "rotor.listensToHooks" -}}
{{- if or .Values.hooks.sources .Values.hooks.queues }}true{{ end -}}
{{- end -}}

{{/* Whether the Secrets Manager API for functions has one address, in front of one worker; "true" or nothing. */}}
{{- define "rotor.servesFunctionsAtOne" -}}
{{- if and .Values.functions.enabled .Values.functions.service }}true{{ end -}}
{{- end -}}

{{/* Whether processes look at the schema only, since somebody else brings it up to date. */}}
{{- define "rotor.migrate" -}}
{{- if eq .Values.migration.mode "auto" }}auto{{ else }}check{{ end -}}
{{- end -}}
