-- Deliveries that are looked at between rotations: when next, and what was found. A row per policy that was rotated and
-- delivers anywhere, made by the scheduler when it plans the policy anew.
CREATE TABLE rotor.drift_checks (
  policy_uid    uuid PRIMARY KEY REFERENCES rotor.policies (uid) ON DELETE CASCADE,
  check_at      timestamptz NOT NULL,
  -- One worker at a time looks at a policy; should it die, another may after this.
  claimed_until timestamptz,
  checked_at    timestamptz,
  -- What differs now, and the latest drift with what became of it. Words and names, never a value.
  open          jsonb NOT NULL DEFAULT '[]',
  last          jsonb NOT NULL DEFAULT '[]',
  last_at       timestamptz
);

-- The cost of a look grows with what is due, not with how many policies there are.
CREATE INDEX drift_checks_due ON rotor.drift_checks (check_at);
