// The queries behind a picture. Each is a list of SELECTs joined by UNION ALL, of the columns
//
//     kind, name, class, object, sub    what it is, and its address in pg_depend
//     facts                             jsonb: the members of PictureObject by name, and
//                                       naming: as COMMENT ON and ALTER … OWNER call it;
//                                       owner; acl and acl_kind: as acldefault() takes it
//
// and may use the relations that kPictureRelations declares.
//
// Thread safety: all functions.
#pragma once

#include <string>

namespace pawl::schema {

// WITH clauses: space (schemas), rel (relations with their key), col (their columns), seq.
std::string PictureRelations(int server_version);

std::string PictureOfTables();
std::string PictureOfColumns(int server_version);
std::string PictureOfTableParts();
std::string PictureOfTypes();
std::string PictureOfRoutines();
std::string PictureOfOperators();
std::string PictureOfDatabase(int server_version);

// Owners, comments and grants of what relation `object` holds.
std::string PictureOfFacets();

}  // namespace pawl::schema
