-- Reports of leaks, what they are about, and what was done. Payloads are not kept: only what a source's reader lets
-- through, with keyed fingerprints in the place of secrets.
CREATE TABLE rotor.incidents (
  id         uuid PRIMARY KEY,
  severity   text NOT NULL,
  opened_by  text NOT NULL,
  opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at   timestamptz
);
CREATE INDEX incidents_recent ON rotor.incidents (opened_at DESC);

-- Deliveries that were taken, so that none is taken twice.
CREATE TABLE rotor.hook_deliveries (
  source      text NOT NULL,
  delivery_id text NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (source, delivery_id)
);
CREATE INDEX hook_deliveries_at ON rotor.hook_deliveries (at);

CREATE TABLE rotor.incident_reports (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident_id uuid NOT NULL REFERENCES rotor.incidents (id) ON DELETE CASCADE,
  source      text NOT NULL,
  delivery_id text NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  report      jsonb NOT NULL
);
CREATE INDEX incident_reports_by_incident ON rotor.incident_reports (incident_id);

-- One credential of an incident. While it is open no second incident is about the same credential: a storm of reports
-- is one incident.
CREATE TABLE rotor.incident_targets (
  incident_id  uuid NOT NULL REFERENCES rotor.incidents (id) ON DELETE CASCADE,
  policy_uid   uuid NOT NULL REFERENCES rotor.policies (uid) ON DELETE CASCADE,
  policy       text NOT NULL,
  -- The version that leaked; null when a report names the credential without showing which.
  version_id   uuid,
  -- How it was found: fingerprint, identity, secretName ...
  matched_by   text[] NOT NULL,
  -- rotate, prove (long revoked) or watch (nothing proves a leak).
  answer       text NOT NULL,
  -- revoke-first or overlap.
  mode         text NOT NULL DEFAULT 'overlap',
  -- When an overlap ends whoever still uses the old one.
  revoke_by    timestamptz,
  -- Fencing token of its containment: below that of every rotation that is claimed later.
  fence        bigint NOT NULL DEFAULT nextval('rotor.fence'),
  lease_until  timestamptz,
  contained_at timestamptz,
  rotation_id  uuid,
  ended_at     timestamptz,
  -- proven, failed or noted.
  result       text,
  PRIMARY KEY (incident_id, policy_uid)
);
CREATE UNIQUE INDEX incident_targets_open ON rotor.incident_targets (policy_uid) WHERE ended_at IS NULL;
CREATE INDEX incident_targets_by_rotation ON rotor.incident_targets (rotation_id) WHERE rotation_id IS NOT NULL;
CREATE INDEX incident_targets_to_contain ON rotor.incident_targets (incident_id)
  WHERE ended_at IS NULL AND contained_at IS NULL AND answer = 'rotate';

-- Contained: the provider refuses it already. From revoke_by on nobody waits for those who still use it.
ALTER TABLE rotor.credential_versions ADD COLUMN contained_at timestamptz, ADD COLUMN revoke_by timestamptz;
-- The evidence of an incident is gathered by subject.
CREATE INDEX audit_by_subject ON rotor.audit (subject);
CREATE INDEX credential_versions_by_identity ON rotor.credential_versions (identity) WHERE identity <> '';

-- Messages that a runbook sends, each at least once; none holds a secret.
CREATE TABLE rotor.incident_messages (
  id          uuid PRIMARY KEY,
  incident_id uuid NOT NULL REFERENCES rotor.incidents (id) ON DELETE CASCADE,
  policy_uid  uuid NOT NULL,
  -- opened, contained, proven or failed.
  moment      text NOT NULL,
  -- Where to, as the runbook has it; where its secret is, never the secret.
  target      jsonb NOT NULL,
  tries       integer NOT NULL DEFAULT 0,
  next_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  sent_at     timestamptz,
  error       text
);
CREATE INDEX incident_messages_due ON rotor.incident_messages (next_at) WHERE sent_at IS NULL;
CREATE INDEX incident_messages_by_incident ON rotor.incident_messages (incident_id);

ALTER TABLE rotor.resources DROP CONSTRAINT resources_kind_check;
ALTER TABLE rotor.resources ADD CONSTRAINT resources_kind_check CHECK (kind IN ('Provider', 'Store', 'Runbook'));
