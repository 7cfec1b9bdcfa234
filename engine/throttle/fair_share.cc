#include "engine/throttle/fair_share.h"

#include <algorithm>

#include <fmt/format.h>

namespace pawl::throttle {

Share Divide(double weight, int workers, double others_weight, int others_workers) {
  Share share;
  share.weight = weight;
  share.workers = workers;
  share.level_max = std::max(1, workers);
  if (others_weight <= 0) return share;
  share.share = weight / (weight + others_weight);
  const double budget = std::max(workers, others_workers);
  share.level_max = std::min(share.level_max, std::max(0.05, budget * share.share));
  return share;
}

Share ShareOf(db::Session& session, std::int64_t run, double weight, int workers) {
  // A run counts while its coordinator is heard of, held or not: what it may not use now, it may in
  // a second.
  const auto found = session.Query(
      R"sql(SELECT coalesce(sum(t.weight), 0), coalesce(max(t.workers), 0), count(*),
       coalesce(pg_catalog.string_agg(t.run_id::text, ', ' ORDER BY t.run_id), '')
  FROM pawl.throttle AS t JOIN pawl.run AS r USING (run_id)
 WHERE t.run_id <> $1::bigint AND t.decided_at > clock_timestamp() - interval '5 seconds'
   AND r.state IN ('running', 'reverting'))sql",
      {std::to_string(run)});
  const db::Row& row = found.rows.at(0);
  Share share = Divide(weight, workers, db::ToDouble(row[0]), static_cast<int>(db::ToInt(row[1])));
  const std::int64_t others = db::ToInt(row[2]);
  if (others > 0) {
    share.sentence = fmt::format("takes {:.0f} % of the database's budget: run{} {} work{} as well",
                                 100 * share.share, others == 1 ? "" : "s", db::ToText(row[3]),
                                 others == 1 ? "s" : "");
  }
  return share;
}

}  // namespace pawl::throttle
