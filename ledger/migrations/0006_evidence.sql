-- An incident waits for the end of this rotation: it waits for nothing that is only cautious.
ALTER TABLE rotor.rotations ADD COLUMN hurried boolean NOT NULL DEFAULT false;

-- What a report left open and its source is asked for: the secret of an alert that came without it. The answer is
-- fingerprinted at once and isn't kept.
CREATE TABLE rotor.hook_inquiries (
  id          uuid PRIMARY KEY,
  incident_id uuid NOT NULL REFERENCES rotor.incidents (id) ON DELETE CASCADE,
  source      text NOT NULL,
  delivery_id text NOT NULL,
  -- What to ask for, in the source's own words, and the report as far as it is known.
  wanted      jsonb NOT NULL,
  report      jsonb NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  tries       integer NOT NULL DEFAULT 0,
  next_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Answered, or given up when an error stays.
  ended_at    timestamptz,
  error       text
);
CREATE INDEX hook_inquiries_due ON rotor.hook_inquiries (source, next_at) WHERE ended_at IS NULL;
CREATE INDEX hook_inquiries_by_incident ON rotor.hook_inquiries (incident_id);

-- Reads of delivered Secrets, as audit logs of clusters have them: who, from where, when; nothing of what was read.
CREATE TABLE rotor.secret_reads (
  -- Name of the sender, and the cluster's own id of the request: a repeated batch adds nothing.
  source       text NOT NULL,
  audit_id     text NOT NULL,
  at           timestamptz NOT NULL,
  verb         text NOT NULL,
  -- Null where a list or a watch covers all namespaces, or all Secrets of one.
  namespace    text,
  name         text,
  user_name    text NOT NULL,
  impersonated text,
  groups       text[] NOT NULL,
  -- The last is the connection's own; those before are what the client says.
  ips          text[] NOT NULL,
  user_agent   text,
  code         integer,
  PRIMARY KEY (source, audit_id)
);
CREATE INDEX secret_reads_at ON rotor.secret_reads (at);
CREATE INDEX secret_reads_by_secret ON rotor.secret_reads (namespace, name, at);

-- What was seen of a leaked credential when it happened, since it is gone later; or in words why it could not be seen.
CREATE TABLE rotor.incident_observations (
  incident_id uuid NOT NULL REFERENCES rotor.incidents (id) ON DELETE CASCADE,
  policy_uid  uuid NOT NULL,
  -- readers, pods, consumers, use, sessions, attempt or reads.
  kind        text NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  facts       jsonb NOT NULL DEFAULT '{}',
  problem     text,
  PRIMARY KEY (incident_id, policy_uid, kind)
);
ALTER TABLE rotor.incident_targets
  ADD COLUMN gather_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  ADD COLUMN gather_tries integer NOT NULL DEFAULT 0,
  ADD COLUMN gathered_at  timestamptz;
CREATE INDEX incident_targets_to_gather ON rotor.incident_targets (gather_at) WHERE gathered_at IS NULL;

-- Tries of a long dead version, until one of them gave an answer.
ALTER TABLE rotor.incident_targets ADD COLUMN attempt_tries integer NOT NULL DEFAULT 0;
