// How many threads a pipeline may use in a test.
//
// ThreadSanitizer cannot see how TBB hands a block from thread to thread, because the
// distribution's libtbb is not instrumented: it reports each hand-over as a race. Under it a
// pipeline runs on one thread; the two sides of a comparison still run at the same time, and are
// what it checks.
#pragma once

namespace pawl::verify {

#ifdef __SANITIZE_THREAD__
constexpr int kPipelineThreadsMax = 1;
#else
constexpr int kPipelineThreadsMax = 2;
#endif

}  // namespace pawl::verify
