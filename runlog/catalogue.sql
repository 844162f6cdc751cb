-- One line for each thing of the schema that carries a rule: what kind it is, its
-- name, and what it is. search_path must be empty, so that names are written out.
-- Lines that begin with GRANT can be run. Until 15, the columns of a view are written with
-- their table.
WITH relation AS (
    SELECT oid, relname, relkind, relispartition, relrowsecurity, relforcerowsecurity, relacl, relowner
    FROM pg_class WHERE relnamespace = 'ledgerline'::regnamespace AND relkind NOT IN ('i', 'I', 't', 'c', 'S')
), routine AS (
    SELECT oid, format('ledgerline.%I(%s)', proname, pg_get_function_identity_arguments(oid)) AS name, proacl, proowner, prokind, prosecdef, proconfig
    FROM pg_proc WHERE pronamespace = 'ledgerline'::regnamespace
), acl AS (
    SELECT format('ON SCHEMA %I', nspname) AS target, '' AS col, nspowner AS owner, coalesce(nspacl, acldefault('n', nspowner)) AS acl
    FROM pg_namespace WHERE nspname = 'ledgerline'
    UNION ALL SELECT format('ON TABLE ledgerline.%I', relname), '', relowner, coalesce(relacl, acldefault('r', relowner)) FROM relation
    UNION ALL SELECT format('ON TABLE ledgerline.%I', relname), format(' (%I)', attname), relowner, attacl
        FROM relation JOIN pg_attribute ON attrelid = relation.oid WHERE attacl IS NOT NULL
    UNION ALL SELECT 'ON FUNCTION ' || name, '', proowner, coalesce(proacl, acldefault('f', proowner)) FROM routine
)
SELECT regexp_replace(line, '\s+', ' ', 'g') FROM (
SELECT format('schema ledgerline: owner %s', nspowner::regrole) AS line FROM pg_namespace WHERE nspname = 'ledgerline'
UNION ALL
SELECT format('role %s: a group%s%s%s%s%s%s', rolname, CASE WHEN rolcanlogin THEN ' with LOGIN' END, CASE WHEN rolsuper THEN ' SUPERUSER' END, CASE WHEN rolbypassrls THEN ' BYPASSRLS' END,
    CASE WHEN rolcreaterole THEN ' CREATEROLE' END, CASE WHEN rolcreatedb THEN ' CREATEDB' END, CASE WHEN rolreplication THEN ' REPLICATION' END)
FROM pg_roles WHERE rolname IN ('ledgerline_owner', 'ledgerline_worker', 'ledgerline_operator', 'ledgerline_reader', 'ledgerline_retention')
    -- Later roles only if they are not as they should be: the version before does not look for them, and would miss their line.
    OR rolname = 'ledgerline_console' AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
UNION ALL
SELECT format('%s %s: owner %s%s%s', CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' ELSE 'relation of kind ' || relkind::text END, relname, relowner::regrole,
    CASE WHEN relrowsecurity THEN ', row-level security enabled' || CASE WHEN relforcerowsecurity THEN ' and forced' ELSE ' and not forced' END
         WHEN relkind IN ('r', 'p') THEN ', without row-level security' END,
    CASE WHEN relkind IN ('v', 'm') THEN ', definition ' || md5(regexp_replace(regexp_replace(pg_get_viewdef(oid), '\s+', ' ', 'g'), '\m(?!ledgerline\.)\w+\.', '', 'g')) END)
FROM relation
UNION ALL
SELECT format('policy %s on %s: %s for %s to %s using (%s) with check (%s)', polname, relname, CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END,
    CASE polcmd WHEN '*' THEN 'all' WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' ELSE 'delete' END,
    (SELECT string_agg(CASE WHEN role = 0 THEN 'public' ELSE role::regrole::text END, ', ' ORDER BY role::regrole::text) FROM unnest(polroles) AS role),
    pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
FROM relation JOIN pg_policy ON polrelid = relation.oid
UNION ALL
SELECT format('function %s: owner %s, %s%s, definition %s', name, proowner::regrole, CASE WHEN prosecdef THEN 'with the rights of its owner' ELSE 'with the rights of its caller' END,
    coalesce(', set ' || array_to_string(proconfig, ', '), ''),
    CASE WHEN prokind IN ('a', 'w') THEN 'of an aggregate' ELSE md5(pg_get_functiondef(oid)) END)
FROM routine
UNION ALL
SELECT format('trigger %s on %s: %s%s', tgname, relname, pg_get_triggerdef(pg_trigger.oid), CASE tgenabled WHEN 'O' THEN '' ELSE ', not always fired (' || tgenabled::text || ')' END)
FROM relation JOIN pg_trigger ON tgrelid = relation.oid WHERE NOT tgisinternal
UNION ALL -- a foreign key is checked by triggers of its own
SELECT format('trigger of constraint %s on %s: does not fire (%s)', conname, relname, tgenabled)
FROM relation JOIN pg_trigger ON tgrelid = relation.oid JOIN pg_constraint ON pg_constraint.oid = tgconstraint WHERE tgisinternal AND tgenabled <> 'O'
UNION ALL
SELECT format('rule %s on %s: %s', rulename, relname, pg_get_ruledef(pg_rewrite.oid)) FROM relation JOIN pg_rewrite ON ev_class = relation.oid WHERE rulename <> '_RETURN'
UNION ALL
-- Without parentheses: a restored database has others, as in a AND (b AND c).
SELECT format('constraint %s on %s: %s', conname, relname, translate(pg_get_constraintdef(pg_constraint.oid), '()', '')) FROM relation JOIN pg_constraint ON conrelid = relation.oid
WHERE contype <> 'n' AND NOT relispartition
UNION ALL
SELECT format('index %s on %s: %s', pg_class.relname, relation.relname, translate(pg_get_indexdef(indexrelid), '()', ''))
FROM relation JOIN pg_index ON indrelid = relation.oid JOIN pg_class ON pg_class.oid = indexrelid
WHERE indisunique AND indisvalid AND NOT relation.relispartition AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
UNION ALL
SELECT format('default privileges of %s: %s', defaclrole::regrole, defaclacl) FROM pg_default_acl
WHERE defaclnamespace = 'ledgerline'::regnamespace OR defaclrole = (SELECT oid FROM pg_roles WHERE rolname = 'ledgerline_owner')
UNION ALL
SELECT DISTINCT format('GRANT %s%s %s TO %s%s', privilege.privilege_type, col, target,
    CASE WHEN privilege.grantee = 0 THEN 'PUBLIC' ELSE privilege.grantee::regrole::text END, CASE WHEN privilege.is_grantable THEN ' WITH GRANT OPTION' END)
FROM acl, aclexplode(acl) AS privilege WHERE privilege.grantee <> owner
) lines ORDER BY 1
