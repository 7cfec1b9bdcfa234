#include "schema/throttle_options.h"

#include <gtest/gtest.h>

#include "db/error.h"

namespace pawl::schema {
namespace {

bool Accepts(const char* name, const std::string& value) {
  return AcceptsThrottleValue(*FindThrottleOption(name), value);
}

TEST(ThrottleOptionsTest, EveryStandardValueIsOneThatIsAccepted) {
  for (const ThrottleOption& option : ThrottleOptions()) {
    EXPECT_TRUE(AcceptsThrottleValue(option, std::string(option.standard))) << option.name;
  }
}

TEST(ThrottleOptionsTest, ALimitHasAUnit) {
  EXPECT_TRUE(Accepts("limit.replica_lag", "10s"));
  EXPECT_TRUE(Accepts("limit.replica_lag", "1.5min"));
  EXPECT_TRUE(Accepts("limit.replica_lag", "off"));
  for (const char* bad : {"10", "10 s", "0s", "-1s", "s", "", "10sec", "1e3s", "nan", "10s\n"}) {
    EXPECT_FALSE(Accepts("limit.replica_lag", bad)) << bad;
  }
  EXPECT_TRUE(Accepts("limit.slot_wal", "512MB"));
  EXPECT_FALSE(Accepts("limit.slot_wal", "512"));
  EXPECT_TRUE(Accepts("limit.wal_rate", "20MB/s"));
  EXPECT_FALSE(Accepts("limit.wal_rate", "20MB"));
  EXPECT_TRUE(Accepts("limit.growth", "25%"));
  EXPECT_FALSE(Accepts("limit.growth", "25"));
  EXPECT_TRUE(Accepts("limit.xid_age", "1000000"));
  EXPECT_FALSE(Accepts("limit.xid_age", "1h"));
}

TEST(ThrottleOptionsTest, ALatencyIsRelativeOrATime) {
  const auto relative = ThrottleLatency({{"limit.latency", "+25%"}}, "limit.latency");
  EXPECT_TRUE(relative->relative);
  EXPECT_DOUBLE_EQ(relative->allowed, 0.25);
  EXPECT_DOUBLE_EQ(ThrottleLatency({{"limit.latency", "25%"}}, "limit.latency")->allowed, 0.25);
  const auto absolute = ThrottleLatency({{"limit.latency", "20ms"}}, "limit.latency");
  EXPECT_FALSE(absolute->relative);
  EXPECT_DOUBLE_EQ(absolute->allowed, 0.02);
  EXPECT_FALSE(ThrottleLatency({{"limit.latency", "off"}}, "limit.latency"));
}

TEST(ThrottleOptionsTest, WordsAreThoseOfTheList) {
  EXPECT_TRUE(Accepts("vacuum", "make"));
  EXPECT_TRUE(Accepts("vacuum", "off"));
  EXPECT_FALSE(Accepts("vacuum", "mak"));
  EXPECT_FALSE(Accepts("vacuum", "or"));
  EXPECT_TRUE(Accepts("limit.vacuum", "wraparound"));
}

TEST(ThrottleOptionsTest, AWindowThatNeverOpensIsNone) {
  const auto night = ParseDayWindow("22:00-06:00 Europe/Berlin");
  ASSERT_TRUE(night);
  EXPECT_EQ(night->begin_minute, 22 * 60);
  EXPECT_EQ(night->end_minute, 6 * 60);
  EXPECT_EQ(night->time_zone, "Europe/Berlin");
  EXPECT_TRUE(ParseDayWindow("00:00-24:00"));
  for (const char* bad : {"22:00-22:00", "24:00-00:00", "22-06", "25:00-06:00", "22:60-06:00",
                          "22:00-06:00 ", "22:00-06:00x", "", "22:00"}) {
    EXPECT_FALSE(ParseDayWindow(bad)) << bad;
  }
}

TEST(ThrottleOptionsTest, CredentialsAndOtherSchemesAreRefused) {
  EXPECT_FALSE(Accepts("replica", "host=r2 password=secret"));
  EXPECT_TRUE(Accepts("replica", "host=r2 port=5432"));
  EXPECT_FALSE(Accepts("http", "https://gate"));
  EXPECT_TRUE(Accepts("http", "http://gate:8080/x"));
}

TEST(ThrottleOptionsTest, ASettingThatIsNotKnownNamesTheNearest) {
  try {
    ParseThrottleSetting("limit.replica_lagg=10s");
    FAIL();
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kBadInput);
    EXPECT_NE(std::string(error.what()).find("Did you mean \"limit.replica_lag\"?"),
              std::string::npos);
  }
  try {
    ParseThrottleSetting("limit.replica_lag=10");
    FAIL();
  } catch (const db::Error& error) {
    EXPECT_STREQ(error.what(),
                 "limit.replica_lag=\"10\" is not understood. Allowed: a time such as 500ms, 10s, "
                 "2min or 1h, or off. Nothing was changed.");
  }
}

TEST(ThrottleOptionsTest, ValuesComeBackFromTheirText) {
  const ThrottleValues values = {{"limit.latency", "+25%"}, {"query", "SELECT \"a\" FROM b"}};
  EXPECT_EQ(ThrottleValuesFrom(ToText(values)), values);
  EXPECT_EQ(ThrottleValuesFrom(""), ThrottleValues());
  EXPECT_THROW(ThrottleValuesFrom("{\"limit.latency\":\"fast\"}"), db::Error);
  EXPECT_THROW(ThrottleValuesFrom("[]"), db::Error);
}

}  // namespace
}  // namespace pawl::schema
