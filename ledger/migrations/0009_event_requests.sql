-- What events of clouds ask for: a rotation of the policy whose secret they speak of. The same event counts once for each
-- policy, by whichever way and however often it comes.
CREATE TABLE rotor.event_requests (
  policy_uid  uuid NOT NULL REFERENCES rotor.policies (uid) ON DELETE CASCADE,
  -- The sender's own id of the event.
  key         text NOT NULL,
  source      text NOT NULL,
  type        text NOT NULL,
  reference   text NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- waits: no rotation has answered it yet; answered; echo: it tells of what has just been rotated.
  state       text NOT NULL,
  rotation_id uuid,
  PRIMARY KEY (policy_uid, key)
);
CREATE INDEX event_requests_by_rotation ON rotor.event_requests (rotation_id) WHERE rotation_id IS NOT NULL;

-- Since when a request waits: the schedule's windows hold it back, nothing else does.
ALTER TABLE rotor.policies ADD COLUMN requested_at timestamptz;
