-- What a registry stores, as its cell told last: {storageBytes, limitBytes, observedAt}; null where nobody asks its Harbor.
ALTER TABLE registry_status ADD COLUMN usage jsonb;
