// Functions, procedures and aggregates; operators, their families and classes; casts.
#include "schema/picture_sql.h"

namespace pawl::schema {

std::string PictureOfRoutines() {
  return R"sql(
SELECT f.kind, f.name, 'pg_proc'::regclass::oid, f.oid, 0, jsonb_build_object(
         'create', rtrim(pg_get_functiondef(f.oid), E'\n'), 'change', rtrim(pg_get_functiondef(f.oid), E'\n'),
         'shape', concat_ws(' ', f.prokind, pg_get_function_result(f.oid), pg_get_function_arguments(f.oid)),
         'drop', format('DROP %s %s', upper(f.kind), f.name),
         'naming', format('%s %s', upper(f.kind), f.name), 'owner', f.proowner, 'acl', f.proacl::text, 'acl_kind', 'f')
  FROM (SELECT p.*, CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind,
               format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
          FROM pg_proc AS p JOIN space AS n ON n.oid = p.pronamespace WHERE p.prokind <> 'a') AS f
UNION ALL
SELECT 'aggregate', f.name, 'pg_proc'::regclass, f.oid, 0, jsonb_build_object(
         'create', format('CREATE AGGREGATE %I.%I(%s) (%s)', f.nspname, f.proname, pg_get_function_arguments(f.oid),
                          concat_ws(', ', format('SFUNC = %s', a.aggtransfn), format('STYPE = %s', format_type(a.aggtranstype, NULL)),
                     CASE WHEN a.aggtransspace <> 0 THEN format('SSPACE = %s', a.aggtransspace) END,
                     CASE WHEN a.aggfinalfn <> 0 THEN format('FINALFUNC = %s', a.aggfinalfn) END,
                     CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
                     CASE WHEN a.aggfinalfn <> 0 THEN format('FINALFUNC_MODIFY = %s', CASE a.aggfinalmodify
                          WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END) END,
                     CASE WHEN a.aggcombinefn <> 0 THEN format('COMBINEFUNC = %s', a.aggcombinefn) END,
                     CASE WHEN a.aggserialfn <> 0 THEN format('SERIALFUNC = %s, DESERIALFUNC = %s', a.aggserialfn,
                          a.aggdeserialfn) END,
                     'INITCOND = ' || quote_literal(a.agginitval),
                     CASE WHEN a.aggmtransfn <> 0 THEN format('MSFUNC = %s, MINVFUNC = %s, MSTYPE = %s', a.aggmtransfn,
                          a.aggminvtransfn, format_type(a.aggmtranstype, NULL)) END,
                     CASE WHEN a.aggmfinalfn <> 0 THEN format('MFINALFUNC = %s', a.aggmfinalfn) END,
                     'MINITCOND = ' || quote_literal(a.aggminitval),
                     CASE WHEN a.aggsortop <> 0 THEN format('SORTOP = OPERATOR(%s)', a.aggsortop::regoperator::regoper) END,
                     CASE a.aggkind WHEN 'h' THEN 'HYPOTHETICAL' END,
                     format('PARALLEL = %s', CASE f.proparallel WHEN 's' THEN 'SAFE' WHEN 'r' THEN 'RESTRICTED'
                          ELSE 'UNSAFE' END))),
         'drop', format('DROP AGGREGATE %s', f.name), 'naming', format('AGGREGATE %s', f.name), 'owner', f.proowner,
         'acl', f.proacl::text, 'acl_kind', 'f', 'acl_on', 'FUNCTION ' || f.name)
  FROM (SELECT p.*, n.nspname, format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
          FROM pg_proc AS p JOIN space AS n ON n.oid = p.pronamespace WHERE p.prokind = 'a') AS f
  JOIN pg_aggregate AS a ON a.aggfnoid = f.oid)sql";
}

std::string PictureOfOperators() {
  return R"sql(
SELECT 'operator', o.name, 'pg_operator'::regclass::oid, o.oid, 0, jsonb_build_object(
         'create', format('CREATE OPERATOR %I.%s (%s)', o.nspname, o.oprname, concat_ws(', ',
                     format('FUNCTION = %s', o.oprcode),
                     CASE WHEN o.oprleft <> 0 THEN 'LEFTARG = ' || format_type(o.oprleft, NULL) END,
                     CASE WHEN o.oprright <> 0 THEN 'RIGHTARG = ' || format_type(o.oprright, NULL) END,
                     CASE WHEN o.oprcom <> 0 THEN format('COMMUTATOR = OPERATOR(%I.%s)', cn.nspname, com.oprname) END,
                     CASE WHEN o.oprnegate <> 0 THEN format('NEGATOR = OPERATOR(%I.%s)', nn.nspname, neg.oprname) END,
                     CASE WHEN o.oprrest <> 0 THEN format('RESTRICT = %s', o.oprrest) END,
                     CASE WHEN o.oprjoin <> 0 THEN format('JOIN = %s', o.oprjoin) END,
                     CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END)),
         'drop', 'DROP OPERATOR ' || o.name, 'naming', 'OPERATOR ' || o.name, 'owner', o.oprowner)
  FROM (SELECT p.*, n.nspname, format('%I.%s (%s, %s)', n.nspname, p.oprname,
                 CASE p.oprleft WHEN 0 THEN 'NONE' ELSE format_type(p.oprleft, NULL) END,
                 CASE p.oprright WHEN 0 THEN 'NONE' ELSE format_type(p.oprright, NULL) END) AS name
          FROM pg_operator AS p JOIN space AS n ON n.oid = p.oprnamespace) AS o
  LEFT JOIN pg_operator AS com ON com.oid = o.oprcom LEFT JOIN pg_namespace AS cn ON cn.oid = com.oprnamespace
  LEFT JOIN pg_operator AS neg ON neg.oid = o.oprnegate LEFT JOIN pg_namespace AS nn ON nn.oid = neg.oprnamespace
 WHERE o.oprcode <> 0
UNION ALL
SELECT 'operator family', f.name, 'pg_opfamily'::regclass, f.oid, 0, jsonb_build_object(
         'create', 'CREATE OPERATOR FAMILY ' || f.name, 'drop', 'DROP OPERATOR FAMILY ' || f.name,
         'naming', 'OPERATOR FAMILY ' || f.name, 'owner', f.opfowner)
  FROM (SELECT o.*, format('%I.%I USING %I', n.nspname, o.opfname, m.amname) AS name FROM pg_opfamily AS o
          JOIN space AS n ON n.oid = o.opfnamespace JOIN pg_am AS m ON m.oid = o.opfmethod) AS f
UNION ALL
SELECT 'operator class', format('%I.%I USING %I', n.nspname, o.opcname, m.amname), 'pg_opclass'::regclass, o.oid, 0,
       jsonb_build_object(
         'create', format('CREATE OPERATOR CLASS %I.%I %sFOR TYPE %s USING %I FAMILY %I.%I AS %s', n.nspname, o.opcname,
                     CASE WHEN o.opcdefault THEN 'DEFAULT ' ELSE '' END, format_type(o.opcintype, NULL), m.amname,
                     fn.nspname, f.opfname, concat_ws(', ',
                       (SELECT string_agg(format('OPERATOR %s %s', a.amopstrategy, a.amopopr::regoperator), ', '
                                          ORDER BY a.amopstrategy)
                          FROM pg_amop AS a JOIN pg_depend AS d ON d.classid = 'pg_amop'::regclass AND d.objid = a.oid
                           AND d.refclassid = 'pg_opclass'::regclass AND d.refobjid = o.oid),
                       (SELECT string_agg(format('FUNCTION %s (%s, %s) %s', a.amprocnum, format_type(a.amproclefttype, NULL),
                                                 format_type(a.amprocrighttype, NULL), a.amproc::regprocedure), ', '
                                          ORDER BY a.amprocnum)
                          FROM pg_amproc AS a JOIN pg_depend AS d ON d.classid = 'pg_amproc'::regclass AND d.objid = a.oid
                           AND d.refclassid = 'pg_opclass'::regclass AND d.refobjid = o.oid),
                       CASE WHEN o.opckeytype <> 0 THEN 'STORAGE ' || format_type(o.opckeytype, NULL) END)),
         'drop', format('DROP OPERATOR CLASS %I.%I USING %I', n.nspname, o.opcname, m.amname),
         'naming', format('OPERATOR CLASS %I.%I USING %I', n.nspname, o.opcname, m.amname), 'owner', o.opcowner)
  FROM pg_opclass AS o JOIN space AS n ON n.oid = o.opcnamespace JOIN pg_am AS m ON m.oid = o.opcmethod
  JOIN pg_opfamily AS f ON f.oid = o.opcfamily JOIN pg_namespace AS fn ON fn.oid = f.opfnamespace
UNION ALL
SELECT 'cast', c.name, 'pg_cast'::regclass, c.oid, 0, jsonb_build_object(
         'create', format('CREATE CAST %s %s%s', c.name,
                     CASE c.castmethod WHEN 'f' THEN format('WITH FUNCTION %s', c.castfunc::regprocedure)
                                       WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
                     CASE c.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' ELSE '' END),
         'drop', 'DROP CAST ' || c.name, 'naming', 'CAST ' || c.name)
  FROM (SELECT *, format('(%s AS %s)', format_type(castsource, NULL), format_type(casttarget, NULL)) AS name
          FROM pg_cast WHERE oid >= 16384) AS c)sql";
}

}  // namespace pawl::schema
