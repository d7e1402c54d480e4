/* SPDX-License-Identifier: Apache-2.0 */
/* oneTBB, twice. `tbb` is its documentation's pattern for operations on one object in their order,
 * "Local Serializer": a concurrent_queue and a count of what waits and is in flight for each key;
 * who raises the count from 0 starts a task for the first item, and who has run an item starts one
 * for the next if the count does not fall to 0. `tbb-list` has a list in the items for the queue,
 * under a spin_mutex, and one task for all that the key has: a concurrent_queue has nearly a
 * kilobyte for each key. Tasks are those of a task_group; the feeder runs none. */
#include "peer.h"

#include <oneapi/tbb/concurrent_queue.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/spin_mutex.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <oneapi/tbb/version.h>

#include <atomic>
#include <deque>

namespace
{

namespace tbb = oneapi::tbb;

/* What tasks have in common. */
struct stage {
    struct peer *peer;
    tbb::task_group group;
};

class serializer
{
  public:
    void add(stage &stage, struct peer_item *item)
    {
        queue_.push(item);
        if (++count_ == 1)
            start(stage);
    }

  private:
    void start(stage &stage)
    {
        stage.group.run([this, &stage] { run(stage); });
    }
    void run(stage &stage)
    {
        struct peer_item *item = nullptr;

        queue_.try_pop(item);
        peer_handle(stage.peer, item);
        if (--count_ != 0)
            start(stage);
    }

    tbb::concurrent_queue<struct peer_item *> queue_;
    std::atomic<int> count_{0};
};

class list
{
  public:
    void add(stage &stage, struct peer_item *item)
    {
        if (append(item))
            stage.group.run([this, &stage] { run(stage); });
    }

  private:
    /* Whether a task is to be started. */
    bool append(struct peer_item *item)
    {
        tbb::spin_mutex::scoped_lock lock(lock_);
        bool was_running = is_running_;

        item->next = nullptr;
        if (first_ == nullptr)
            first_ = item;
        else
            last_->next = item;
        last_ = item;
        is_running_ = true;
        return !was_running;
    }
    struct peer_item *take()
    {
        tbb::spin_mutex::scoped_lock lock(lock_);
        struct peer_item *item = first_;

        first_ = nullptr;
        is_running_ = item != nullptr;
        return item;
    }
    void run(stage &stage)
    {
        struct peer_item *next;

        while (struct peer_item *item = take())
            for (; item != nullptr; item = next) {
                next = item->next;
                peer_handle(stage.peer, item);
            }
    }

    tbb::spin_mutex lock_;
    bool is_running_ = false;
    struct peer_item *first_ = nullptr;
    struct peer_item *last_ = nullptr;
};

template <typename Lane> void dispatch(struct peer *peer, uint32_t workers)
{
    /* One more, for the feeder's place. */
    int threads = static_cast<int>(workers) + 1;
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                              static_cast<std::size_t>(threads));
    tbb::task_arena arena(threads, 1);

    arena.execute([peer] {
        std::deque<Lane> lanes;
        stage stage{peer, {}};
        void **lane;

        while (struct peer_item *item = peer_next(peer, &lane)) {
            if (*lane == nullptr)
                *lane = &lanes.emplace_back();
            static_cast<Lane *>(*lane)->add(stage, item);
        }
        stage.group.wait();
    });
}

}

const struct peer_dispatcher peer_tbb = {"oneTBB " TBB_VERSION_STRING, 0, dispatch<serializer>};
const struct peer_dispatcher peer_tbb_list = {"oneTBB " TBB_VERSION_STRING, 0, dispatch<list>};
