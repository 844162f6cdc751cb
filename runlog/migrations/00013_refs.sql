-- References to secrets may be file:NAME, below a folder of the organization's
-- own. What is stored is a flat object of references and nothing else: in an array
-- or an object within it a secret could hide.

-- +goose Up
ALTER TABLE ledgerline.integrations
    DROP CONSTRAINT credential_refs_hold_no_secret,
    ADD CONSTRAINT credential_refs_hold_no_secret CHECK (CASE WHEN jsonb_typeof(credential_refs) = 'object'
        THEN NOT jsonb_path_exists(credential_refs,
            'strict $.* ? (@.type() != "string" || !(@ like_regex "^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^[:cntrl:]]+)$"))')
        ELSE false END);
ALTER TABLE ledgerline.notification_channels
    DROP CONSTRAINT settings_hold_no_secret,
    ADD CONSTRAINT settings_hold_no_secret CHECK (kind <> 'webhook' OR coalesce(
        jsonb_typeof(settings -> 'secret') = 'string' AND settings ->> 'secret' ~ '^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^[:cntrl:]]+)$', false));

-- +goose Down
-- What is stored can break the constraints of before, so they hold for new rows only.
ALTER TABLE ledgerline.integrations
    DROP CONSTRAINT credential_refs_hold_no_secret,
    ADD CONSTRAINT credential_refs_hold_no_secret
        CHECK (NOT jsonb_path_exists(credential_refs, '$.* ? (!(@ like_regex "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.*)$"))')) NOT VALID;
ALTER TABLE ledgerline.notification_channels
    DROP CONSTRAINT settings_hold_no_secret,
    ADD CONSTRAINT settings_hold_no_secret
        CHECK (kind <> 'webhook' OR coalesce(settings ->> 'secret' ~ '^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.*)$', false)) NOT VALID;
