-- Credentials that nobody has rotated yet, or that somebody changed in their store: their current version is looked for, so that
-- a leak of it is known by its value. A row per policy, made by the scheduler when it plans the policy anew.
CREATE TABLE rotor.current_looks (
  policy_uid    uuid PRIMARY KEY REFERENCES rotor.policies (uid) ON DELETE CASCADE,
  -- Where to look, as a rotation would have it, without deliveries and consumers. References to secrets, never secrets.
  spec          jsonb NOT NULL,
  look_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Looks in a row that failed, and why the last one did, in words.
  tries         integer NOT NULL DEFAULT 0,
  problem       text,
  looked_at     timestamptz
);

-- The cost of a look grows with what is due, not with how many policies there are.
CREATE INDEX current_looks_due ON rotor.current_looks (look_at);

-- When a version was found that no rotation made.
ALTER TABLE rotor.credential_versions ADD COLUMN found_at timestamptz;
