// Reads COPY … TO STDOUT (FORMAT binary) in blocks of whole rows. Reads only.
//
//     server ──CopyData…──▶ CopyReader ──CopyBlock──▶ whoever hashes
//
// A block holds about 256 KiB of rows, so that handing one from thread to thread costs nothing next
// to reading it. A row is the bytes from its field count up to the next row's (the 2-byte field
// count included, the stream's header and trailer not): two rows are equal byte for byte exactly
// when the server's send functions give the same bytes for each of their values.
//
// The end of the data is never guessed: a stream counts as read only when its trailer has come, the
// server has said that the command succeeded, and the server's row count is ours. All else throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;

namespace pawl::db {

// Whole rows, one after the other. Reused from read to read, so that its memory is allocated once.
//
// Thread safety: const methods. Whoever holds it may pass it on to another thread.
class CopyBlock {
 public:
  std::size_t row_count() const { return row_ends_.size(); }

  // Returns row `index` with its field count. Valid until the block is read into again or
  // destroyed. Requires index < row_count().
  std::string_view row(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : row_ends_[index - 1];
    return {bytes_.data() + begin, row_ends_[index] - begin};
  }

 private:
  friend class CopyReader;

  std::string bytes_;                  // Behind the last row's end: the start of an unfinished one.
  std::vector<std::size_t> row_ends_;  // Ascending offsets into bytes_.
};

// One COPY in progress. The connection belongs to the reader until Read() has returned false or the
// reader is destroyed; nothing else may use it meanwhile.
//
// Thread safety: none. Calls may come from different threads one after the other.
class CopyReader {
 public:
  // Starts `copy_sql`, one COPY … TO STDOUT (FORMAT binary), on `connection`, which must be idle
  // and outlive the reader. Throws Error: what the server said, or kBadInput if the statement is
  // not a binary COPY to the client; the connection can then be used again.
  CopyReader(pg_conn* connection, const std::string& copy_sql);

  // If rows are left, cancels the COPY and reads what is under way, so that the connection is idle
  // again; an open transaction is then an aborted one.
  ~CopyReader();

  CopyReader(const CopyReader&) = delete;
  CopyReader& operator=(const CopyReader&) = delete;

  // Replaces the content of `block` with the next rows, at least one; the last block may be short.
  // A row larger than a block comes whole, in a block of its size. Returns false, with an empty
  // block, once all rows were handed out. Throws Error on a server's error, a broken connection,
  // and a stream that is cut short or malformed; the reader can then only be destroyed.
  bool Read(CopyBlock& block);

  // Rows and their bytes handed out so far.
  std::int64_t row_count() const { return row_count_; }
  std::int64_t byte_count() const { return byte_count_; }

 private:
  void AppendMessage(CopyBlock& block);
  void ParseRows(CopyBlock& block);
  void TakeHeader(CopyBlock& block);
  std::int64_t Finish();
  void Abandon();

  pg_conn* connection_;
  bool in_progress_ = false;  // The connection still has results of our COPY to give.
  bool header_taken_ = false;
  bool trailer_seen_ = false;
  std::string unfinished_;  // Bytes behind the last whole row of the block before.
  std::int64_t row_count_ = 0;
  std::int64_t byte_count_ = 0;
};

// Reads all of `copy_sql` and hands each row to `on_row`. Returns the number of rows. The view is
// valid during the call only. Throws what CopyReader throws and what `on_row` throws.
std::int64_t CopyRows(pg_conn* connection, const std::string& copy_sql,
                      const std::function<void(std::string_view)>& on_row);

// Returns the value of a row's first field as its send function wrote it, nullopt for NULL. Throws
// kBadInput if the row has no fields.
std::optional<std::string_view> FirstField(std::string_view row);

}  // namespace pawl::db
