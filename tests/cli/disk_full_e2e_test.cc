// The disk under the table is full in the middle of a run.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "control/child_process.h"
#include "tests/cli/pawl_process.h"

namespace pawl::test {
namespace {

constexpr std::int64_t kRows = 40'000;

class DiskFullE2eTest : public testing::Test {
 protected:
  void SetUp() override {
    if (UsesForeignServer()) GTEST_SKIP() << "a server that is not ours";
    if (geteuid() != 0) GTEST_SKIP() << "only root may mount a small disk";
    mkdir(disk_.c_str(), 0700);
    if (mount("none", disk_.c_str(), "tmpfs", 0, "size=12m") != 0) {
      GTEST_SKIP() << "cannot mount a small disk here: " << std::strerror(errno);
    }
    mounted_ = true;
    const control::Account account = control::UnprivilegedAccount();
    ASSERT_EQ(chown(disk_.c_str(), account.uid, account.gid), 0);
    database_.Exec("CREATE TABLESPACE small LOCATION '" + disk_ + "'");
    database_.Exec(
        "CREATE TABLE item (id bigint, price bigint NOT NULL, label text NOT NULL, PRIMARY KEY "
        "(id) USING INDEX TABLESPACE small) TABLESPACE small;INSERT INTO item SELECT n, n, 'item ' "
        "|| n FROM generate_series(1, " +
        std::to_string(kRows) + ") AS n");
    database_.Exec("VACUUM ANALYZE item");
  }

  void TearDown() override {
    if (!mounted_) return;
    database_.Exec("DROP TABLE IF EXISTS item");
    database_.Exec("DROP TABLESPACE IF EXISTS small");
    EXPECT_EQ(umount(disk_.c_str()), 0) << std::strerror(errno);
  }

  // Takes all that is free but `left`.
  void FillBut(std::int64_t left_bytes) {
    std::ofstream file(filler_, std::ios::binary);
    const std::string megabyte(1 << 20, 'x');
    while (file.write(megabyte.data(), static_cast<std::streamsize>(megabyte.size())).flush()) {
    }
    file.close();
    struct stat filled {};
    ASSERT_EQ(stat(filler_.c_str(), &filled), 0);
    ASSERT_EQ(truncate(filler_.c_str(), filled.st_size - left_bytes), 0);
  }

  TestDatabase database_;
  std::string disk_ = UsesForeignServer() ? "" : SharedServer().directory() + "/small";
  std::string filler_ = disk_ + "/filler";
  bool mounted_ = false;
  std::string file_ = MigrationFile("raise.sql", "UPDATE item SET price = price + 1;");
};

TEST_F(DiskFullE2eTest, TheRunSaysSoAndCarriesOnWhenThereIsRoom) {
  FillBut(500'000);
  const Finished full =
      RunPawl({"run", file_, "--order", "key", "--batch-rows", "2000"}, database_.url());
  EXPECT_EQ(full.exit_code, 1) << full.both();
  EXPECT_NE(full.err.find("No space left on device"), std::string::npos) << full.err;
  EXPECT_NE(full.err.find("Make room"), std::string::npos) << full.err;
  const std::int64_t done = database_.Integer("SELECT count(*) FROM item WHERE price = id + 1");
  EXPECT_GT(done, 0);
  EXPECT_LT(done, kRows);
  EXPECT_EQ(database_.Integer("SELECT sum(rows) FROM pawl.ledger"), done);

  ASSERT_EQ(unlink(filler_.c_str()), 0);
  const Finished rest =
      RunPawl({"run", file_, "--order", "key", "--batch-rows", "2000"}, database_.url());
  EXPECT_EQ(rest.exit_code, 0) << rest.both();
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id + 1"), kRows);
}

}  // namespace
}  // namespace pawl::test
