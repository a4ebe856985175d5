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
