/* SPDX-License-Identifier: Apache-2.0 */
/* ThreadSanitizer does not know Concurrency Kit's fences. Each object that passes through one of
 * its structures is therefore announced: released by the thread that gives it away, acquired by
 * the one that gets it. Only the payload is announced, never the structure: announcing the
 * structure would order everything and hide real races. A link that the structure keeps inside the
 * payload is written behind the announcement, which is not looked at. */
#ifndef KLANE_SYNC_RACE_DETECTOR_H
#define KLANE_SYNC_RACE_DETECTOR_H

#if defined(__SANITIZE_THREAD__)
#define RACE_DETECTOR 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACE_DETECTOR 1
#endif
#endif

#ifdef RACE_DETECTOR
void __tsan_acquire(void *object);
void __tsan_release(void *object);
#define RACE_DETECTOR_ACQUIRE(object) __tsan_acquire((void *)(uintptr_t)(object))
#define RACE_DETECTOR_RELEASE(object) __tsan_release((void *)(uintptr_t)(object))
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define RACE_DETECTOR_LINK_BEGIN() AnnotateIgnoreWritesBegin(__FILE__, __LINE__)
#define RACE_DETECTOR_LINK_END() AnnotateIgnoreWritesEnd(__FILE__, __LINE__)
#else
#define RACE_DETECTOR_ACQUIRE(object) ((void)0)
#define RACE_DETECTOR_RELEASE(object) ((void)0)
#define RACE_DETECTOR_LINK_BEGIN() ((void)0)
#define RACE_DETECTOR_LINK_END() ((void)0)
#endif

#endif
