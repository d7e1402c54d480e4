/* SPDX-License-Identifier: Apache-2.0 */
/* Boost.Asio: a strand for each key, which its documentation gives as the way to run handlers one
 * after the other without a lock of one's own; an io_context that as many threads run as it is
 * told of. What asio keeps of a handler stands behind the item, by an associated allocator, which
 * its documentation advises against an allocation for each handler. */
#include "peer.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/version.hpp>

#include <deque>
#include <new>
#include <thread>
#include <vector>

namespace
{

namespace asio = boost::asio;

using strand = asio::strand<asio::io_context::executor_type>;

/* Behind each item: the strand's note of the handler, and that of itself in the io_context. Both
 * are given back before the handler runs. */
class item_memory
{
  public:
    void *allocate(std::size_t size)
    {
        void *block = bytes_ + used_;

        used_ += (size + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);
        if (used_ > sizeof(bytes_))
            peer_fail("asio needs more memory for a handler");
        return block;
    }

  private:
    std::size_t used_ = 0;
    alignas(std::max_align_t) unsigned char bytes_[224];
};

template <typename T> class item_allocator
{
  public:
    using value_type = T;

    explicit item_allocator(item_memory *memory) : memory_(memory)
    {
    }
    template <typename U>
    item_allocator(const item_allocator<U> &other) noexcept : memory_(other.memory_)
    {
    }

    T *allocate(std::size_t count)
    {
        return static_cast<T *>(memory_->allocate(sizeof(T) * count));
    }
    void deallocate(T *, std::size_t)
    {
    }

    template <typename U> bool operator==(const item_allocator<U> &other) const noexcept
    {
        return memory_ == other.memory_;
    }
    template <typename U> bool operator!=(const item_allocator<U> &other) const noexcept
    {
        return memory_ != other.memory_;
    }

    item_memory *memory_;
};

struct handler {
    using allocator_type = item_allocator<void>;

    struct peer *peer;
    struct peer_item *item;

    allocator_type get_allocator() const noexcept
    {
        return allocator_type(static_cast<item_memory *>(item->own));
    }
    void operator()() const
    {
        peer_handle(peer, item);
    }
};

void dispatch(struct peer *peer, uint32_t workers)
{
    asio::io_context context(static_cast<int>(workers));
    auto guard = asio::make_work_guard(context);
    std::vector<std::thread> threads;
    std::deque<strand> strands;
    void **lane;

    for (uint32_t i = 0; i < workers; i++)
        threads.emplace_back([&context] { context.run(); });
    while (struct peer_item *item = peer_next(peer, &lane)) {
        if (*lane == nullptr)
            *lane = &strands.emplace_back(asio::make_strand(context));
        new (item->own) item_memory;
        asio::post(*static_cast<strand *>(*lane), handler{peer, item});
    }
    guard.reset();
    for (std::thread &thread : threads)
        thread.join();
}

}

const struct peer_dispatcher peer_asio = {"Boost.Asio " BOOST_LIB_VERSION, sizeof(item_memory),
                                          dispatch};
