{{- define "parley.name" -}}
{{- if contains "parley" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-parley" (.Release.Name | trunc 43 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "parley.selector" -}}
app.kubernetes.io/name: parley
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "parley.labels" -}}
{{ include "parley.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "parley.secret" -}}
{{ .Values.existingSecret | default (include "parley.name" .) }}
{{- end }}

{{- define "parley.hosts" -}}
{{- $hosts := .Values.hosts }}
{{- if and .Values.ingress.enabled $hosts }}{{ $hosts = append $hosts .Values.ingress.host }}{{ end }}
{{- $hosts | uniq | join "," }}
{{- end }}

{{- /* Bytes of a Kubernetes quantity, for GOMEMLIMIT: nine tenths of it. */}}
{{- define "parley.gomemlimit" -}}
{{- $q := ternary (. | int64 | toString) (. | toString) (kindIs "float64" .) }}
{{- $n := regexFind "^[0-9]+" $q | int64 }}
{{- $unit := trimPrefix (regexFind "^[0-9]+" $q) $q }}
{{- $of := dict "" 1 "k" 1000 "Ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824 }}
{{- if not (hasKey $of $unit) }}{{ fail (printf "resources.limits.memory: %q is not a whole number of Ki, Mi, Gi, k, M or G" $q) }}{{ end }}
{{- div (mul $n (get $of $unit | int64) 9) 10 }}
{{- end }}
