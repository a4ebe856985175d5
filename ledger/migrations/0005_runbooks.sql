-- The steps of a runbook that the policy of a target names, as they fitted when the report came. What other parts do
-- (contain, rotate, deliver, rollout, prove, related, notify) is kept here for its order and its settings only; the others
-- are worked off by whoever comes by.
CREATE TABLE rotor.incident_steps (
  -- By which a receiver knows a repetition.
  id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  incident_id uuid NOT NULL,
  policy_uid  uuid NOT NULL,
  -- Place in the runbook, from 0.
  ordinal     integer NOT NULL,
  kind        text NOT NULL,
  spec        jsonb NOT NULL,
  -- waiting, done, failed or skipped.
  state       text NOT NULL DEFAULT 'waiting',
  tries       integer NOT NULL DEFAULT 0,
  next_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  began_at    timestamptz,
  -- Of an approval: nobody may give it from then on.
  expires_at  timestamptz,
  ended_at    timestamptz,
  -- What was said at the first try, so that a repetition says the same.
  note        jsonb,
  result      jsonb,
  error       text,
  UNIQUE (incident_id, policy_uid, ordinal),
  FOREIGN KEY (incident_id, policy_uid) REFERENCES rotor.incident_targets (incident_id, policy_uid) ON DELETE CASCADE
);
CREATE INDEX incident_steps_approvals ON rotor.incident_steps (incident_id, policy_uid)
  WHERE kind = 'approve' AND state = 'waiting';

-- Who approved a step: each person once.
CREATE TABLE rotor.incident_approvals (
  step_id uuid NOT NULL REFERENCES rotor.incident_steps (id) ON DELETE CASCADE,
  person  text NOT NULL,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (step_id, person)
);

ALTER TABLE rotor.incident_targets
  -- By what it is contained while its rotation waits for an approval: the spec that the rotation would have.
  ADD COLUMN spec jsonb,
  -- Why it failed, in words.
  ADD COLUMN reason text,
  -- When somebody looks at its steps again; null when there is nothing to do. Whoever looks moves it on, as a lease.
  ADD COLUMN steps_at timestamptz;
-- An approval that nobody gives ends the incident, and not what came before it: the leaked one is contained all the same.
DROP INDEX rotor.incident_targets_to_contain;
CREATE INDEX incident_targets_to_contain ON rotor.incident_targets (incident_id)
  WHERE contained_at IS NULL AND answer = 'rotate' AND (ended_at IS NULL OR reason = 'approval expired');
CREATE INDEX incident_targets_steps_due ON rotor.incident_targets (steps_at) WHERE steps_at IS NOT NULL;
-- One person may hold several tokens.
ALTER TABLE rotor.tokens ADD COLUMN owner text;
