// SPDX-License-Identifier: BSD-3-Clause
#include "crash/concurrent.h"

#include "crash/orders_expectation.h"
#include "support/scheduler.h"

namespace daxpin::crash {

namespace {

// The steps that are not crashed run first; those that are belong to the first thread.
std::vector<std::vector<Operation>> begin(Session &session, const Workload &workload) {
    auto threads = workload.threads;
    for (const Step &step : session.steps()) {
        if (step.crashed)
            threads.front().push_back(step.operation);
        else
            session.run(step.operation);
    }
    return threads;
}

// The body of one thread. Bodies never run at the same time.
void run_thread(Session &session, Recording &recording, test::TraceRecorder &recorder,
                unsigned thread, const std::vector<Operation> &operations) {
    for (Operation operation : operations) {
        const std::size_t number = recording.calls.size();
        recorder.mark(begin_mark(number));
        recording.calls.push_back({thread, operation, 0, ++recording.moments, 0});
        auto outcome = session.execute(operation);
        recorder.mark(end_mark(number));
        recording.calls[number] = {thread, operation, std::move(outcome),
                                   recording.calls[number].begun, ++recording.moments};
    }
}

} // namespace

Recording record_threads(const Workload &workload, const Image &image, std::uint64_t seed) {
    Session session(workload, image, seed);
    session.prepare();
    Recording recording = begin_recording(session);
    test::TraceRecorder recorder(session.media());
    session.mount();
    const auto threads = begin(session, workload);
    recording.oracle = session.oracle();
    std::vector<std::function<void()>> bodies;
    for (unsigned i = 0; i < threads.size(); ++i)
        bodies.emplace_back([&, i] { run_thread(session, recording, recorder, i, threads[i]); });
    test::Scheduler(seed).run(bodies);
    auto dump = take_dump(session.volume());
    if (!dump)
        throw Problem{"at the end: " + daxpin::describe(dump.error())};
    recording.data_blocks = dump->data_blocks;
    recording.dumps.push_back(std::move(*dump));
    for (std::size_t moment = 0; moment <= recording.moments; ++moment)
        recording.paths.push_back(moment);
    session.unmount();
    recording.trace = recorder.trace();
    return recording;
}

std::string check_run(const Recording &recording, const Workload &workload, const Image &image,
                      std::uint64_t seed) {
    OrdersExpectation expectation(recording, seed);
    const Position end{recording.moments, recording.moments};
    const auto found = expectation.match(recording.dumps.back(), end);
    if (!found.wrong.empty())
        return "without a crash: " + found.wrong;
    const Recording again = record_threads(workload, image, seed);
    if (again.trace.events != recording.trace.events || again.trace.bytes != recording.trace.bytes)
        return "the same seed gave another run";
    return {};
}

} // namespace daxpin::crash
