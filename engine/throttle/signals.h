// The makers of all signals. Each returns nullptr where its limit is off.
#pragma once

#include <memory>

#include "engine/throttle/signal.h"

namespace pawl::throttle {

std::unique_ptr<Signal> MakeCanary(const Scene& scene);
std::unique_ptr<Signal> MakeStatements(const Scene& scene);
std::unique_ptr<Signal> MakeCommit(const Scene& scene);
std::unique_ptr<Signal> MakeActive(const Scene& scene);
std::unique_ptr<Signal> MakeLockWait(const Scene& scene);
std::unique_ptr<Signal> MakeReplicaLag(const Scene& scene);
std::unique_ptr<Signal> MakeReplicaLagBytes(const Scene& scene);
std::unique_ptr<Signal> MakeReplicaItself(const Scene& scene);
std::unique_ptr<Signal> MakeSlotWal(const Scene& scene);
std::unique_ptr<Signal> MakeArchiveBacklog(const Scene& scene);
std::unique_ptr<Signal> MakeWalRate(const Scene& scene);
// Those of the last `look_back` count.
std::unique_ptr<Signal> MakeCheckpoints(const Scene& scene,
                                        std::chrono::seconds look_back = std::chrono::minutes(5));
std::unique_ptr<Signal> MakeDeadTuples(const Scene& scene);
std::unique_ptr<Signal> MakeGrowth(const Scene& scene);
std::unique_ptr<Signal> MakeVacuum(const Scene& scene);
std::unique_ptr<Signal> MakeXidAge(const Scene& scene);
std::unique_ptr<Signal> MakeDiskFree(const Scene& scene);
std::unique_ptr<Signal> MakeConnections(const Scene& scene);
std::unique_ptr<Signal> MakeQuery(const Scene& scene);
std::unique_ptr<Signal> MakeHttp(const Scene& scene);
std::unique_ptr<Signal> MakeFlagFile(const Scene& scene);
std::unique_ptr<Signal> MakeWindow(const Scene& scene);

}  // namespace pawl::throttle
