#include "tests/bench/boost.h"

#include <boost/interprocess/allocators/cached_node_allocator.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <unistd.h>

namespace bip = boost::interprocess;

namespace
{

constexpr std::size_t cached = 512, nodes_a_block = 512, overhead = 32, spare = 8u << 20;

template <std::size_t size> struct object {
	alignas(8) unsigned char bytes[size];
};

template <std::size_t size>
using allocator =
	bip::cached_node_allocator<object<size>, bip::managed_shared_memory::segment_manager,
				   nodes_a_block>;

std::unique_ptr<bip::managed_shared_memory> segment;
allocator<64> *small;
allocator<256> *large;

void make_allocator(std::size_t size)
{
	if (size == 64)
		(small = new allocator<64>(segment->get_segment_manager()))
			->set_max_cached_nodes(cached);
	else
		(large = new allocator<256>(segment->get_segment_manager()))
			->set_max_cached_nodes(cached);
}

} // namespace

extern "C" bool boost_open(std::size_t object_size, std::size_t most)
{
	const std::string name = "slabd-bench-" + std::to_string(getpid());

	if (object_size != 64 && object_size != 256)
		return false;
	bip::shared_memory_object::remove(name.c_str());
	segment = std::make_unique<bip::managed_shared_memory>(
		bip::create_only, name.c_str(), (object_size + overhead) * most + spare);
	bip::shared_memory_object::remove(name.c_str());
	make_allocator(object_size);
	return true;
}

extern "C" void boost_join(void)
{
	make_allocator(small ? 64 : 256);
}

extern "C" void *boost_alloc(void)
{
	try {
		return small ? static_cast<void *>(&*small->allocate_one())
			     : static_cast<void *>(&*large->allocate_one());
	} catch (const bip::bad_alloc &) {
		return nullptr;
	}
}

extern "C" void boost_free(void *pointer)
{
	if (small)
		small->deallocate_one(static_cast<object<64> *>(pointer));
	else
		large->deallocate_one(static_cast<object<256> *>(pointer));
}
