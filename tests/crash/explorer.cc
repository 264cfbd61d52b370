// SPDX-License-Identifier: BSD-3-Clause
#include "crash/explorer.h"

#include "crash/fields.h"
#include "crash/format_run.h"
#include "crash/rules.h"

namespace daxpin::crash {

using test::Event;
using test::PersistenceModel;

namespace {

std::vector<PersistenceModel> models_of(const std::vector<test::SimOptions> &options,
                                        const std::vector<Bytes> &images) {
    std::vector<PersistenceModel> models;
    for (std::size_t i = 0; i < images.size(); ++i)
        models.emplace_back(options[i].domain, images[i]);
    return models;
}

// Brings what became durable into the reference of the scratch media.
void advance(std::vector<PersistenceModel> &models, Scratch &scratch) {
    for (unsigned device = 0; device < models.size(); ++device) {
        PersistenceModel &model = models[device];
        for (const std::uint64_t unit : model.take_changed())
            scratch.advance(device, unit, model.durable().subspan(unit, model.unit_bytes()));
    }
}

void feed(std::vector<PersistenceModel> &models, const test::Trace &trace, const Event &event) {
    PersistenceModel &model = models[event.device];
    switch (event.kind) {
    case Event::Kind::store:
        model.store(event.offset, trace.stored(event), event.store_kind, event.thread);
        break;
    case Event::Kind::flush:
        model.flush(event.offset, event.data, event.thread);
        break;
    case Event::Kind::drain:
        model.drain(event.thread);
        break;
    case Event::Kind::mark:
        break;
    }
}

bool is_acknowledgement(const Event &event) {
    return event.kind == Event::Kind::mark && event.offset != mounted_mark && event.offset % 2 == 0;
}

} // namespace

Explorer::Explorer(const Workload &workload, Start start, const Plan &plan, Counters &counters,
                   Report report, Announce announce)
    : workload_(workload), start_(start), plan_(plan), counters_(counters),
      report_(std::move(report)), announce_(std::move(announce)) {}

bool Explorer::wanted(const Token &token) const {
    return !only_ || (token.moment == only_->moment && token.event == only_->event);
}

void Explorer::judge(const Token &token, const std::string &text) {
    if (text.empty())
        return;
    ++counters_.violations;
    report_(token, text);
}

void Explorer::run(const std::optional<Token> &only) {
    only_ = only;
    ++counters_.workloads;
    Token token{.seed = plan_.seed,
                .workload = workload_.name,
                .start = to_string(start_),
                .moment = 'R',
                .event = 0,
                .state = 0};
    announce_(token);
    try {
        prepare();
        explore_stores();
        explore_drains();
    } catch (const Problem &problem) {
        judge(token, problem.text);
    }
}

// Records what is to be crashed and says how its states are judged.
void Explorer::prepare() {
    if (workload_.name == format_workload) {
        recording_ = record_format(start_, plan_.seed);
        check_ = [this](Scratch &scratch, const Position &position) {
            ++counters_.states;
            return check_format(scratch, recording_, position);
        };
        return;
    }
    recording_ = record(workload_, start_, plan_.seed);
    if (!plan_.drop_field.empty())
        counters_.dropped_bytes += drop_field(recording_, plan_.drop_field);
    verifier_ = std::make_unique<Verifier>(workload_, start_, plan_.seed, recording_, counters_);
    check_ = [this](Scratch &scratch, const Position &position) {
        return verifier_->check(scratch, position);
    };
}

// ---- one state ----------------------------------------------------------------------------------

void Explorer::visit(Scratch &scratch, const Position &position, Token token) {
    if (stopped())
        return;
    announce_(token);
    const bool nested = verifier_ && plan_.nested_every > 0 && visited_++ % plan_.nested_every == 0;
    if (only_ ? only_->nested.has_value() : nested)
        crash_recovery(scratch, position, token);
    if (only_ && only_->nested)
        return;
    judge(token, check_(scratch, position));
}

// ---- mode L -------------------------------------------------------------------------------------

// Long stores tear at the edge of any word; here after the first word, in the middle, before the
// last word and at the first line's edge. `state` is the number of bytes that were stored.
void Explorer::crash_inside_store(Scratch &scratch, const Event &event, std::size_t index,
                                  const Position &position) {
    const auto bytes = recording_.trace.stored(event);
    const std::uint64_t end = event.offset + bytes.size();
    std::set<std::uint64_t> edges{event.offset / 8 * 8 + 8, (event.offset + end) / 16 * 8,
                                  (end - 1) / 8 * 8};
    if (bytes.size() > 128)
        edges.insert(event.offset / 64 * 64 + 64);
    for (const std::uint64_t edge : edges) {
        if (edge <= event.offset || edge >= end)
            continue;
        const std::uint64_t stored = edge - event.offset;
        if (only_ && only_->state != stored)
            continue;
        ++counters_.crash_points;
        scratch.write(event.device, event.offset, bytes.first(stored));
        visit(scratch, position,
              {plan_.seed, workload_.name, to_string(start_), 'L', index, stored, {}});
        scratch.restore();
    }
}

void Explorer::explore_stores() {
    Scratch scratch(recording_.options, recording_.initial);
    Position position{0, 0, recording_.steps.at(0).crashed};
    const auto &events = recording_.trace.events;
    for (std::size_t index = 0; index < events.size(); ++index) {
        const Event &event = events[index];
        if (event.kind == Event::Kind::mark)
            position.pass(recording_, event.offset);
        if (event.kind != Event::Kind::store)
            continue;
        const Token token{plan_.seed, workload_.name, to_string(start_), 'L', index, 0, {}};
        const bool here = position.crashed && wanted(token) && !stopped();
        if (here && event.length > 8)
            crash_inside_store(scratch, event, index, position);
        scratch.advance(event.device, event.offset, recording_.trace.stored(event));
        if (!here || (only_ && only_->state != 0))
            continue;
        ++counters_.crash_points;
        visit(scratch, position, token);
        scratch.restore();
    }
}

// ---- mode P -------------------------------------------------------------------------------------

void Explorer::visit_point(const std::vector<PersistenceModel> &models, Scratch &scratch,
                           const Position &position, std::size_t event, char moment) {
    Token token{plan_.seed, workload_.name, to_string(start_), moment, event, 0, {}};
    if (!position.crashed || !wanted(token) || stopped())
        return;
    ++counters_.crash_points;
    StateBudget budget = plan_.states;
    if (moment == 'A') // a part of what comes before the next drain
        budget = plan_.nested_states;
    const auto only = only_ ? std::optional(only_->state) : std::nullopt;
    for_each_state(models, scratch, budget, plan_.seed * 1000003 + event, only,
                   [&](std::uint64_t state) {
                       token.state = state;
                       visit(scratch, position, token);
                   });
}

void Explorer::check_rules(const std::vector<PersistenceModel> &models, const Event &event,
                           const Position &position, std::size_t index) {
    const Token token{plan_.seed, workload_.name, to_string(start_), 'R', index, 0, {}};
    if (!position.crashed || !verifier_)
        return;
    if (is_acknowledgement(event)) {
        ++counters_.acknowledgements;
        judge(token, check_acknowledged(models, recording_.superblock));
    }
    if (event.kind == Event::Kind::store && event.device == 0)
        judge(token, check_tail_store(models, recording_.superblock, event.offset,
                                      recording_.trace.stored(event)));
}

void Explorer::explore_drains() {
    Scratch scratch(recording_.options, recording_.initial);
    auto models = models_of(recording_.options, recording_.initial);
    Position position{0, 0, recording_.steps.at(0).crashed};
    const auto &events = recording_.trace.events;
    for (std::size_t index = 0; index < events.size(); ++index) {
        const Event &event = events[index];
        if (event.kind == Event::Kind::mark)
            position.pass(recording_, event.offset);
        check_rules(models, event, position, index);
        if (event.kind == Event::Kind::drain)
            visit_point(models, scratch, position, index, 'B');
        feed(models, recording_.trace, event);
        advance(models, scratch);
        if (event.kind == Event::Kind::drain)
            visit_point(models, scratch, position, index, 'A');
        if (is_acknowledgement(event))
            visit_point(models, scratch, position, index, 'K');
    }
    if (models.size() == 1) { // with several devices every drain goes to all of them
        counters_.redundant_flushes += models[0].redundant_flushes();
        counters_.repeated_flushes += models[0].repeated_flushes();
        counters_.redundant_drains += models[0].redundant_drains();
    }
}

// ---- crashes of a recovery ----------------------------------------------------------------------

void Explorer::crash_recovery(Scratch &scratch, const Position &position, const Token &token) {
    std::vector<Bytes> images;
    MediaList copies;
    for (const auto &media : scratch.media()) {
        copies.push_back(media->clone());
        images.emplace_back(copies.back()->bytes().begin(), copies.back()->bytes().end());
    }
    test::Trace trace;
    {
        test::TraceRecorder recorder(copies);
        test::TestEnv env(plan_.seed + 1000);
        const auto volume = volume::Volume::open(test::open_table(copies), env, mount_options());
        trace = recorder.trace(); // without the unmount
    }
    explore_recovery(trace, images, position, token);
}

void Explorer::explore_recovery(const test::Trace &trace, const std::vector<Bytes> &images,
                                const Position &position, const Token &token) {
    Scratch scratch(recording_.options, images);
    auto models = models_of(recording_.options, images);
    for (std::size_t index = 0; index < trace.events.size(); ++index) {
        const Event &event = trace.events[index];
        const bool here = event.kind == Event::Kind::drain && event.device == 0 && !stopped() &&
                          (!only_ || only_->nested->event == index);
        const auto only = only_ ? std::optional(only_->nested->state) : std::nullopt;
        if (here)
            for_each_state(models, scratch, plan_.nested_states,
                           plan_.seed * 1000003 + token.event * 31 + index, only,
                           [&](std::uint64_t state) {
                               Token nested = token;
                               nested.nested = Token::Nested{index, state};
                               announce_(nested);
                               ++counters_.nested_states;
                               judge(nested, check_(scratch, position));
                           });
        feed(models, trace, event);
        advance(models, scratch);
    }
}

} // namespace daxpin::crash
