;; A policy by hand: it passes every call, knows no verdict and holds every doubt. What stands in double braces is a
;; slot, which a test fills with what it wants to go wrong. Figures are addresses; the lists in `data` are records as
;; the component model lays them out.
(module
  (memory (export "memory") {{memory}})
  (global $free (mut i32) (i32.const 8192))
  {{items}}

  (func $allocate (export "cabi_realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    {{realloc}}
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (local.get $at))

  (func (export "semel:policy/about@0.1.0#describe") (result i32)
    {{describe}}
    (i32.const 1024))
  (func (export "semel:policy/about@0.1.0#configure") (param $text i32) (param $bytes i32) (result i32)
    {{configure}}
    (i32.const 1152))
  (func (export "semel:policy/key@0.1.0#derive") (param i32 i32 i32 i32 i32 i32) (result i32)
    {{derive}}
    (i32.const 1152))
  (func (export "semel:policy/retry@0.1.0#judge") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    {{judge}}
    (i32.const 1536))
  (func (export "semel:policy/retry@0.1.0#recover") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    {{recover}}
    (i32.const 1600))
  (func (export "semel:policy/retry@0.1.0#weigh") (param i32) (result i32)
    {{weigh}}
    (i32.const 1664))

  ;; Texts.
  (data (i32.const 64) "lean")
  (data (i32.const 72) "1.0.0")
  (data (i32.const 80) "{}")
  (data (i32.const 88) "refund")
  (data (i32.const 96) "order")
  (data (i32.const 104) "17")
  (data (i32.const 112) "nothing is known")
  (data (i32.const 136) "\ff\fe")
  (data (i32.const 144) "{\"a\":")

  ;; describe: name, version, summary, tools, settings-schema, key-epoch, extras
  (data (i32.const 1024) (i32 64 4  72 5  64 0  0 0  80 2  7  0 0))
  ;; configure: ok. derive: ok, pass. Both are zeroes, at 1152.

  ;; derive: ok, once: name, identity, content, scope and until, window-seconds, attempt-seconds, target (none), …
  (data (i32.const 1280) (i32 0 1  1 88 6  1408 1  0 0) (i8 0 0 0 0) (i32 3600 60) (i32 0 0 0 0 0 0 0 0) (i32 0 0 0 0))
  (data (i32.const 1408) (i32 96 5 104 2))
  ;; derive, configure and all others: err, with a text
  (data (i32.const 1440) (i32 1 112 16))
  ;; derive: ok, refuse, with a text
  (data (i32.const 1456) (i32 0 2 112 16))

  ;; judge: ok: unknown, reason, retry-after-ms (none), handles, undid, extras
  (data (i32.const 1536) (i32 0 3  112 16  0 0  0 0  0 0  0 0))
  ;; recover: ok, hold
  (data (i32.const 1600) (i32 0 2 112 16))
  ;; weigh: ok, absent
  (data (i32.const 1664) (i32 0 1 0 0))
  {{data}})
