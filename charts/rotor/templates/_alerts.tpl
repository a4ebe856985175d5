{{/* Each alert says what happened, and its annotation what to do next. */}}
{{- define "rotor.alerts" -}}
{{- $here := printf "namespace=%q" .Release.Namespace -}}
{{- $limits := .Values.prometheusRule.thresholds -}}
{{- $alerts := list
  (dict "name" "RotorSchedulerSilent" "severity" "critical" "for" "10m"
    "expr" (printf "absent(rotor_due_lag_seconds{%s})" $here)
    "summary" "No scheduler of Rotor reports: nothing is rotated on schedule"
    "next" "kubectl get pods -l app.kubernetes.io/component=orchestrator; look at their logs, and whether the database can be reached.")
  (dict "name" "RotorWorkersSilent" "severity" "critical" "for" "10m"
    "expr" (printf "absent(up{%s, service=%q} == 1)" $here (printf "%s-worker" (include "rotor.fullname" .)))
    "summary" "No worker of Rotor answers: rotations are started and stay where they are"
    "next" "kubectl get pods -l app.kubernetes.io/component=worker; look at their logs. What has begun goes on by itself when one is back.")
  (dict "name" "RotorDueLag" "severity" "warning" "for" "10m"
    "expr" (printf "max(rotor_due_lag_seconds{%s}) > %d" $here (int $limits.dueLagSeconds))
    "summary" "Rotations that are due are not started"
    "next" "rotor get policies shows what is due; look at the logs of the orchestrators.")
  (dict "name" "RotorNeedsHuman" "severity" "critical" "for" "0m"
    "expr" (printf "increase(rotor_rotations_total{state=\"needs-human\", %s}[1h]) > 0 or (rotor_rotations_total{state=\"needs-human\", %s} unless rotor_rotations_total{state=\"needs-human\", %s} offset 1h)" $here $here $here)
    "summary" "A rotation has stopped and needs a human"
    "next" "rotor get rotations --state needs-human, then rotor describe rotation ID: it names the command that settles it.")
  (dict "name" "RotorFailureRate" "severity" "warning" "for" "15m"
    "expr" (printf "sum(increase(rotor_rotations_total{state=~\"rolled-back|needs-human\", %s}[1h])) / sum(increase(rotor_rotations_total{state=~\"done|rolled-back|needs-human\", %s}[1h])) > %v" $here $here $limits.failureRatio)
    "summary" "Many rotations fail"
    "next" "rotor get rotations --state rolled-back, and look for what their errors have in common: a provider, a cluster, a permission.")
  (dict "name" "RotorDrift" "severity" "warning" "for" "0m"
    "expr" (printf "increase(rotor_delivery_drift_total{result=~\"failed|reported\", %s}[1h]) > 0 or (rotor_delivery_drift_total{result=~\"failed|reported\", %s} unless rotor_delivery_drift_total{result=~\"failed|reported\", %s} offset 1h)" $here $here $here)
    "summary" "Somebody else changed or removed what was delivered, and it stays so"
    "next" "rotor describe policy NAME shows what and why; the audit trail (rotor audit export) has when it was first seen.")
  (dict "name" "RotorQueueUnread" "severity" "critical" "for" "10m"
    "expr" (printf "sum by (queue, code) (increase(rotor_queue_failures_total{%s}[15m])) > 3" $here)
    "summary" "A queue with events is not listened to: leaks that are reported there are not heard"
    "next" "The label code says why; look at the logs of the orchestrators, at their rights on the queue, and at networkPolicy.orchestratorTargets.")
  (dict "name" "RotorCredentialAge" "severity" "warning" "for" "1h"
    "expr" (printf "max(rotor_credential_age_seconds{%s}) > %d * 86400" $here (int $limits.credentialAgeDays))
    "summary" "A credential is older than it may be"
    "next" "rotor get policies shows when each was last rotated; a paused policy, or one without a schedule, waits for you.")
  (dict "name" "RotorRotationsSlow" "severity" "warning" "for" "15m"
    "expr" (printf "histogram_quantile(0.95, sum by (le) (rate(rotor_rotation_duration_seconds_bucket{%s}[1h]))) > %d" $here (int $limits.durationSeconds))
    "summary" "Rotations take unusually long"
    "next" "The dashboard shows which step takes the time; rotor describe rotation ID shows what it waits for.")
  (dict "name" "RotorRevocationSlow" "severity" "critical" "for" "0m"
    "expr" (printf "histogram_quantile(0.99, sum by (le) (rate(rotor_incident_time_to_revoke_seconds_bucket{mode=\"revoke-first\", %s}[1h]))) > %d" $here (int $limits.revokeSeconds))
    "summary" "A leaked credential of high risk was accepted for too long after it had been reported"
    "next" "rotor get incidents, then rotor describe incident ID: its timeline shows what took the time; look at the provider and at the logs of the workers.")
-}}
{{- range $alerts }}
{{- /* By the Service that is there for the ServiceMonitor: without it, silence says nothing. */}}
{{- if or (ne .name "RotorWorkersSilent") $.Values.serviceMonitor.enabled }}
- alert: {{ .name }}
  expr: {{ .expr | quote }}
  for: {{ .for }}
  labels:
    severity: {{ .severity }}
    {{- with $.Values.prometheusRule.alertLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    summary: {{ .summary | quote }}
    description: {{ .next | quote }}
{{- end }}
{{- end }}
{{- end -}}
