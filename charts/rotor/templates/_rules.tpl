{{/* What the workers may do where they deliver and roll out: docs/kubernetes.md, "What the workers need". dict: root, secrets */}}
{{- define "rotor.workerRules" -}}
{{- $strategies := .root.Values.rbac.strategies -}}
{{- if .root.Values.rbac.versionedSecrets }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, patch, create, delete]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [list]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- else if .secrets }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- toYaml .secrets | nindent 4 }}
  verbs: [get, patch]
{{- else }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, patch, create]
{{- end }}
{{- if .root.Values.rbac.watchSecrets }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
{{- if or $strategies.rolling $strategies.blueGreen }}
- apiGroups: [apps]
  resources: {{ if $strategies.rolling }}[deployments, statefulsets, daemonsets]{{ else }}[deployments]{{ end }}
  verbs: [get, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: {{ if $strategies.blueGreen }}[list, patch]{{ else }}[list]{{ end }}
{{- end }}
{{- if $strategies.rolling }}
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list]
{{- end }}
{{- if and $strategies.rolling .root.Values.rbac.removeStuckPods }}
- apiGroups: [""]
  resources: [pods]
  verbs: [delete]
{{- end }}
{{- if or $strategies.podReload $strategies.delegated }}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [get]
- apiGroups: [""]
  resources: [pods]
  verbs: {{ if $strategies.podReload }}[list, patch]{{ else }}[list]{{ end }}
{{- end }}
{{- if $strategies.delegated }}
- apiGroups: [external-secrets.io]
  resources: [externalsecrets]
  verbs: [get, patch]
- apiGroups: [secrets.hashicorp.com]
  resources: [vaultstaticsecrets]
  verbs: [get]
{{- end }}
{{- if $strategies.externalSecrets }}
- apiGroups: [external-secrets.io]
  resources: [externalsecrets, pushsecrets]
  verbs: [get, patch]
{{- end }}
{{- if $strategies.csi }}
- apiGroups: [secrets-store.csi.x-k8s.io]
  resources: [secretproviderclasses, secretproviderclasspodstatuses]
  verbs: [get]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end }}
{{- if $strategies.argoRollouts }}
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end }}
{{- if $strategies.blueGreen }}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create, delete, list]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
{{- end }}
{{- end -}}

{{/* Keeping versions in Secrets: docs/stores.md, "Secrets of a cluster". */}}
{{- define "rotor.storeRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch, delete]
{{- end -}}

{{/* Finding the consumers of a Secret, and who else may read it. */}}
{{- define "rotor.discoveryRules" -}}
{{- if .Values.rbac.discovery }}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [list, watch]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [list, watch]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list]
{{- end }}
{{- if .Values.rbac.accessReview }}
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [list]
{{- end }}
{{- end -}}

{{/* What only a ClusterRole can allow: who may read a Secret by one. */}}
{{- define "rotor.clusterRoleRules" -}}
- apiGroups: [rbac.authorization.k8s.io]
  resources: [clusterroles, clusterrolebindings]
  verbs: [list]
{{- end -}}

{{/* Manifests as custom resources: read them, say how they stand, and nothing that a person or GitOps has written. */}}
{{- define "rotor.watchRules" -}}
{{- $kinds := list "rotationpolicies" "providers" "stores" "runbooks" -}}
- apiGroups: [rotor.dev]
  resources: {{ $kinds | toJson }}
  verbs: [get, list, watch]
- apiGroups: [rotor.dev]
  resources:
  {{- range $kinds }}
    - {{ . }}/status
  {{- end }}
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* A role and its binding. dict: root, component, name, namespace ("" for the whole cluster), rules */}}
{{- define "rotor.roleAndBinding" -}}
{{- $cluster := eq .namespace "" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if $cluster }}ClusterRole{{ else }}Role{{ end }}
metadata:
  name: {{ .name }}
  {{- if not $cluster }}
  namespace: {{ .namespace }}
  {{- end }}
  labels:
    {{- include "rotor.labels" . | nindent 4 }}
rules:
{{ .rules | trim }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if $cluster }}ClusterRoleBinding{{ else }}RoleBinding{{ end }}
metadata:
  name: {{ .name }}
  {{- if not $cluster }}
  namespace: {{ .namespace }}
  {{- end }}
  labels:
    {{- include "rotor.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ if $cluster }}ClusterRole{{ else }}Role{{ end }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "rotor.serviceAccountName" . }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
