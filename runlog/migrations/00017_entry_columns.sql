-- An integration's file can say how the columns of its files of entries are named:
-- export.columns. The version before reads the rest of such a row as ever.

-- +goose Up
ALTER TABLE ledgerline.integrations DROP CONSTRAINT export_can_be_read, ADD CONSTRAINT export_can_be_read CHECK (ledgerline.decodes_as(export,
    '{"source": "text", "chunkSize": [0, 1000000], "accounts": "texts", "dimensions": "texts", "currencies": "list", "isolateRequests": [0, 1000000],
        "equalRefusals": [0, 1000000], "columns": "texts"}'));

-- +goose Down
ALTER TABLE ledgerline.integrations DROP CONSTRAINT export_can_be_read, ADD CONSTRAINT export_can_be_read CHECK (ledgerline.decodes_as(export,
    '{"source": "text", "chunkSize": [0, 1000000], "accounts": "texts", "dimensions": "texts", "currencies": "list", "isolateRequests": [0, 1000000],
        "equalRefusals": [0, 1000000]}')) NOT VALID;
