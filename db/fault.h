// Named fault points, compiled out of a release. A test sets PAWL_FAULT_AT=point:n:action and the
// n-th pass of that point in this process kills it, throws, or delays:
//
//   PAWL_FAULT_AT=after_commit:3:kill      PAWL_FAULT_AT=before_batch:1:delay=2000
#pragma once

#ifdef PAWL_FAULT_POINTS
namespace pawl::db {
void PassFaultPoint(const char* point);
}
#define PAWL_FAULT(point) ::pawl::db::PassFaultPoint(point)
#else
#define PAWL_FAULT(point) static_cast<void>(0)
#endif
