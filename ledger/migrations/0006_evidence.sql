-- An incident waits for the end of this rotation: it waits for nothing that is only cautious.
ALTER TABLE rotor.rotations ADD COLUMN hurried boolean NOT NULL DEFAULT false;
