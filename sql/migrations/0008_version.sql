-- The version of Harbor that a registry runs, as its cell told last; null until it did. spec.version is what it is to run.
ALTER TABLE registry_status ADD COLUMN version text;
