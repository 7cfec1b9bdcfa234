#include "engine/timeline_watch.h"

#include <gtest/gtest.h>

#include "db/error.h"

namespace pawl::engine {
namespace {

TEST(TimelineWatchTest, GoesUpWithAFailoverAndNeverBack) {
  TimelineWatch watch;
  watch.Note(1, "s");
  watch.Note(1, "s");
  watch.Note(3, "s");
  EXPECT_THROW(watch.Note(1, "s"), db::Error);
  EXPECT_THROW(watch.Note(2, "s"), db::Error);
  watch.Note(3, "s");
}

TEST(TimelineWatchTest, AReplicaIsRefused) {
  TimelineWatch watch;
  EXPECT_THROW(watch.Note(0, "s"), db::Error);
}

}  // namespace
}  // namespace pawl::engine
