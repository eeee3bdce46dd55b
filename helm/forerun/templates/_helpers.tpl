{{- define "forerun.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "forerun.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "forerun.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "forerun.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "forerun.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "forerun.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name an account, or let the chart create one" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "forerun.selectorLabels" -}}
app.kubernetes.io/name: {{ include "forerun.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "forerun.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "forerun.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "forerun.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* A number from a values file is a float64: 2419200 would print as 2.4192e+06. */}}
{{- define "forerun.settingText" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}
{{- int64 . }}
{{- else }}
{{- toString . }}
{{- end }}
{{- end }}

{{- define "forerun.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "forerun.podSecurityContext" -}}
fsGroup: 65532
runAsGroup: 65532
runAsNonRoot: true
runAsUser: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* What may be read and written in the namespaces that Forerun works in. */}}
{{- define "forerun.targetRules" -}}
- apiGroups: [forerun.dev]
  resources: [campaigns, storefronts]
  verbs: [get, list, watch]
- apiGroups: [forerun.dev]
  resources: [capacityplans]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [forerun.dev]
  resources: [campaigns/status, storefronts/status, capacityplans/status]
  verbs: [get, update, patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, patch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch, patch]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, patch]
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [get, update, patch]
# Kubernetes copies a Deployment's annotations to its ReplicaSets; ours are taken off there too
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, patch]
{{- range .Values.extraTargets }}
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ .resource }}]
  verbs: [get, list, watch, patch]
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ printf "%s/scale" .resource }}]
  verbs: [get, update, patch]
{{- end }}
{{- if .Values.capacityAhead.enabled }}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [create, delete]
- apiGroups: [apps]
  resources: [daemonsets]
  verbs: [get, list, create, patch, delete]
- apiGroups: [""]
  resources: [podtemplates]
  verbs: [get, list, create, patch, delete]
- apiGroups: [autoscaling.x-k8s.io]
  resources: [capacitybuffers]
  verbs: [get, list, create, patch, delete]
{{- end }}
{{- if .Values.podResize.enabled }}
- apiGroups: [""]
  resources: [pods, pods/resize]
  verbs: [patch]
{{- end }}
# how long pods take from their creation to Ready
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
# the kubelet's Events say how long an image took to pull
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
