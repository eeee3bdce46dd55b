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

{{- /* The role that a namespace is opted in with. Named after the account, so that a refusal by the API server, which
names the account, is enough to know the role. */}}
{{- define "forerun.targetsRole" -}}
{{- include "forerun.serviceAccountName" . }}-targets
{{- end }}

{{- define "forerun.expiryAccountName" -}}
{{- include "forerun.fullname" . }}-expiry
{{- end }}

{{- /* A job of its own: neither the operator's Service nor its NetworkPolicy means its pods. */}}
{{- define "forerun.expirySelectorLabels" -}}
app.kubernetes.io/name: {{ include "forerun.name" . }}-expiry
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "forerun.subjects" -}}
- kind: ServiceAccount
  name: {{ include "forerun.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "forerun.expirySubjects" -}}
- kind: ServiceAccount
  name: {{ include "forerun.expiryAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* What is watched. No write, no Secret, no Pod. */}}
{{- define "forerun.readRules" -}}
- apiGroups: [forerun.dev]
  resources: [campaigns, storefronts, capacityplans]
  verbs: [get, list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch]
{{- range .Values.extraTargets }}
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ .resource }}]
  verbs: [get, list, watch]
{{- end }}
{{- end }}

{{- /* The same without watches: the expiry job looks once. */}}
{{- define "forerun.expiryReadRules" -}}
{{- include "forerun.readRules" . | replace ", watch]" "]" }}
{{- end }}

{{- /* What is written where a namespace has opted in, by the operator and by the expiry job. */}}
{{- define "forerun.giveBackRules" -}}
- apiGroups: [forerun.dev]
  resources: [capacityplans/status]
  verbs: [patch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [patch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [patch]
- apiGroups: [apps]
  resources: [deployments/scale, statefulsets/scale]
  verbs: [get, update]
# Kubernetes copies a Deployment's annotations to its ReplicaSets; ours are taken off there too
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, patch]
{{- range .Values.extraTargets }}
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ .resource }}]
  verbs: [patch]
- apiGroups: [{{ .apiGroup | quote }}]
  resources: [{{ printf "%s/scale" .resource }}]
  verbs: [get, update]
{{- end }}
{{- end }}

{{- define "forerun.operatorRules" -}}
- apiGroups: [forerun.dev]
  resources: [capacityplans]
  verbs: [create, patch, delete]
- apiGroups: [forerun.dev]
  resources: [campaigns/status, storefronts/status]
  verbs: [patch]
# whether the account that a Storefront names may scale the target
- apiGroups: [authorization.k8s.io]
  resources: [localsubjectaccessreviews]
  verbs: [create]
# how long pods take from their creation to Ready
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "forerun.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]   # a name cannot be asked for at creation
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "forerun.fullname" . }}]
  verbs: [get, update]
{{- end }}

{{- /* Kinds of targets with their scale subresource: the built-in two, and extraTargets. */}}
{{- define "forerun.scalable" -}}
- {group: apps, kind: Deployment, resource: deployments}
- {group: apps, kind: StatefulSet, resource: statefulsets}
{{- range .Values.extraTargets }}
- {group: {{ .apiGroup | quote }}, kind: {{ .kind | default (.resource | trimSuffix "s" | title) }}, resource: {{ .resource }}}
{{- end }}
{{- end }}

{{- define "forerun.knownKinds" -}}
{{- $kinds := list }}
{{- range (include "forerun.scalable" . | fromYamlArray) }}
{{- $kinds = append $kinds (printf "'%s/%s'" .group .kind) }}
{{- end }}
{{- join ", " $kinds }}
{{- end }}

{{- /* A policy does nothing until it is bound; (context, name, action). */}}
{{- define "forerun.policyBinding" -}}
{{- $root := index . 0 }}
{{- $policy := printf "%s-%s" (include "forerun.fullname" $root) (index . 1) -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $policy }}
  labels: {{- include "forerun.labels" $root | nindent 4 }}
spec:
  policyName: {{ $policy }}
  validationActions: [{{ index . 2 }}]
{{- end }}
