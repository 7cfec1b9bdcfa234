#include "cli/app_traffic.h"

#include <gtest/gtest.h>

namespace pawl::cli {
namespace {

TEST(LatencyTest, IsOfTheTimesThemselves) {
  std::vector<double> times;
  for (int i = 1'001; i >= 1; --i) times.push_back(i);
  const Latency latency = LatencyOf(times);
  EXPECT_EQ(latency.statements, 1'001U);
  EXPECT_EQ(latency.p50_ms, 501);
  EXPECT_EQ(latency.p99_ms, 991);
  EXPECT_EQ(latency.max_ms, 1'001);
  EXPECT_EQ(LatencyOf({}).max_ms, 0);
}

}  // namespace
}  // namespace pawl::cli
