// PostgreSQL's error text as one tidy line: "ERROR:  " and query positions removed, DETAIL kept.
#pragma once

#include <string>

namespace pawl::db {

std::string CleanMessage(const std::string& server_text);

}  // namespace pawl::db
