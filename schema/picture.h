// What a schema looks like, object by object: the statements that make, change and remove each one,
// and what it hangs on. Two pictures give a difference (schema/drift.h).
//
// An object is whatever one statement can change by itself: not only a table, but each column, its
// default, its NOT NULL, a comment, a grant, an owner. So a difference is a few short statements.
// Left out: what belongs to an extension, and Pawl's own schema; the options of user mappings, which
// hold passwords; subscriptions, large objects, languages, conversions, and types written in C.
//
// Thread safety: const methods.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "db/session.h"

namespace pawl::schema {

struct PictureObject {
  std::string definition;   // Equal in two pictures: the same object.
  std::string create;       // Empty: it comes with what it belongs to, and with that alone.
  std::string change;       // From another definition to this one; empty: by removing and creating.
  std::string shape;        // `change` works only between equal shapes.
  std::string drop;         // Empty: it goes with what it belongs to, and with that alone.
  bool loses_data = false;  // `drop` does.
  bool comes_along = false;   // The `create` of what it belongs to holds it already.
  bool is_inherited = false;  // A statement at the parent table makes, changes and removes it too.
  // Keys of objects. What it belongs to first: without any of these it is gone by itself.
  std::vector<std::string> belongs_to;
  std::vector<std::string> needs;  // It must be removed before any of these can be.
  std::vector<std::string> after;  // These are made first, where they are new as well.
};

// By key: kind and name, "column public.orders.total".
using Picture = std::map<std::string, PictureObject>;

// Reads the catalogue in one read-only transaction; `session` must be in none. Throws db::Error;
// where somebody removed an object meanwhile, the next try may succeed.
Picture ReadPicture(db::Session& session);

// A picture as a JSON array of [key, object], and an object back from its text. Throws kBadInput where
// it is none.
std::string ToText(const Picture& picture);
PictureObject PictureObjectFrom(const std::string& text);

}  // namespace pawl::schema
