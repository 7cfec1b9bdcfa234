// ALTER TABLE … ADD COLUMN: as it stands where PostgreSQL changes the catalogue only, else in steps
// that stop nobody.
//
//   no default, or one value for all old rows   as it stands
//   a value of its own for each row, serial,    schema/drawn_column.h
//   identity
//   NOT NULL without a value                    as it stands where the table is empty; else refused, as
//                                               by PostgreSQL
//   GENERATED ALWAYS AS (…)                     refused (docs/decisions/0013)
//   CHECK, UNIQUE, PRIMARY KEY, REFERENCES      after all of that, each by its own online form
//                                               (schema/online_forms.h), under the name that PostgreSQL
//                                               would choose
//
// Thread safety: none. Belongs to one planning.
#pragma once

#include "schema/planning.h"

namespace pawl::schema {

// Adds the steps. Throws db::Error (kBadInput) where the column is there already, or there is no form
// that stops nobody.
void PlanAddColumn(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
