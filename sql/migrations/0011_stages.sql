-- What a pipeline's cell explains (reconcilers/fleet/explain.h): stage by stage where it runs and what it lacks, and what
-- is waited for; null where it told nothing. stages_cut is a word where stages lack something because of their size.
ALTER TABLE resource_status
    ADD COLUMN stages jsonb,
    ADD COLUMN stages_cut text,
    ADD COLUMN waiting jsonb;
