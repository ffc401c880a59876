-- New credentials for old: a number for each kind that was asked for, {"redis": 7}, the generation that asked.
ALTER TABLE registry ADD COLUMN credentials jsonb NOT NULL DEFAULT '{}';
GRANT UPDATE (credentials) ON registry TO flotilla_serve, flotilla_fleet;
ALTER TABLE operation
    DROP CONSTRAINT operation_kind_check,
    ADD CONSTRAINT operation_kind_check CHECK (kind IN ('create', 'update', 'close', 'undo', 'purge', 'rotate'));
