;; Matrix products in double precision, two numbers at a time. `npm run assemble` turns this into product-module.ts.
;;
;; Numbers lie in groups of four lanes: four rows of a, four columns of b, or four columns of the sums. A group holds its lanes'
;; first numbers side by side, then their second ones, and so on, as doubles. Every entry is summed alone and in the order of its
;; terms, so a result is, to the bit, that of the loop one would write.
(module
  (memory (export "memory") 1)

  ;; Single precision to groups of doubles. `lane` is the bytes from one lane to the next, `step` those from a lane's number to its
  ;; next, `gap` those between the groups. Where the last group has fewer than four lanes, its last one is there again.
  (func (export "pack")
    (param $from i32) (param $lane i32) (param $step i32) (param $lanes i32) (param $numbers i32) (param $to i32) (param $gap i32)
    (local $lane1 i32) (local $lane2 i32) (local $lane3 i32) (local $at i32) (local $end i32)
    (local.set $lane1 (local.get $lane))
    (local.set $lane2 (i32.mul (local.get $lane) (i32.const 2)))
    (local.set $lane3 (i32.mul (local.get $lane) (i32.const 3)))
    (loop $groups
      (if (i32.lt_u (local.get $lanes) (i32.const 2)) (then (local.set $lane1 (i32.const 0))))
      (if (i32.lt_u (local.get $lanes) (i32.const 3)) (then (local.set $lane2 (local.get $lane1))))
      (if (i32.lt_u (local.get $lanes) (i32.const 4)) (then (local.set $lane3 (local.get $lane2))))
      (local.set $at (local.get $from))
      (local.set $end (i32.add (local.get $to) (i32.shl (local.get $numbers) (i32.const 5))))
      (loop $lengthwise
        (f64.store (local.get $to) (f64.promote_f32 (f32.load (local.get $at))))
        (f64.store offset=8 (local.get $to) (f64.promote_f32 (f32.load (i32.add (local.get $at) (local.get $lane1)))))
        (f64.store offset=16 (local.get $to) (f64.promote_f32 (f32.load (i32.add (local.get $at) (local.get $lane2)))))
        (f64.store offset=24 (local.get $to) (f64.promote_f32 (f32.load (i32.add (local.get $at) (local.get $lane3)))))
        (local.set $at (i32.add (local.get $at) (local.get $step)))
        (br_if $lengthwise (i32.ne (local.tee $to (i32.add (local.get $to) (i32.const 32))) (local.get $end))))
      (local.set $to (i32.add (local.get $to) (local.get $gap)))
      (local.set $from (i32.add (local.get $from) (i32.shl (local.get $lane) (i32.const 2))))
      (br_if $groups (i32.gt_s (local.tee $lanes (i32.sub (local.get $lanes) (i32.const 4))) (i32.const 0)))))

  ;; Groups of doubles to single precision, lanes side by side, `step` bytes from a lane's number to its next.
  (func (export "unpack")
    (param $from i32) (param $gap i32) (param $groups i32) (param $numbers i32) (param $to i32) (param $step i32)
    (local $at i32) (local $end i32)
    (loop $across
      (local.set $at (local.get $to))
      (local.set $end (i32.add (local.get $from) (i32.shl (local.get $numbers) (i32.const 5))))
      (loop $lengthwise
        (v128.store64_lane 0 (local.get $at) (f32x4.demote_f64x2_zero (v128.load (local.get $from))))
        (v128.store64_lane offset=8 0 (local.get $at) (f32x4.demote_f64x2_zero (v128.load offset=16 (local.get $from))))
        (local.set $at (i32.add (local.get $at) (local.get $step)))
        (br_if $lengthwise (i32.ne (local.tee $from (i32.add (local.get $from) (i32.const 32))) (local.get $end))))
      (local.set $from (i32.add (local.get $from) (local.get $gap)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (br_if $across (local.tee $groups (i32.sub (local.get $groups) (i32.const 1))))))

  ;; sums += a b. Groups lie without gaps; those of the sums hold four rows for each group of a.
  (func (export "multiply")
    (param $a i32) (param $aGroups i32) (param $b i32) (param $bGroups i32) (param $terms i32) (param $sums i32)
    (local $left i32) (local $x i32) (local $y i32) (local $end i32)
    (local $y01 v128) (local $y23 v128) (local $factor v128)
    (local $s00 v128) (local $s02 v128) (local $s10 v128) (local $s12 v128)
    (local $s20 v128) (local $s22 v128) (local $s30 v128) (local $s32 v128)
    (loop $columns
      (local.set $left (local.get $aGroups))
      (local.set $x (local.get $a))
      (local.set $end (i32.add (local.get $b) (i32.shl (local.get $terms) (i32.const 5))))
      (loop $rows
        (local.set $s00 (v128.load (local.get $sums)))
        (local.set $s02 (v128.load offset=16 (local.get $sums)))
        (local.set $s10 (v128.load offset=32 (local.get $sums)))
        (local.set $s12 (v128.load offset=48 (local.get $sums)))
        (local.set $s20 (v128.load offset=64 (local.get $sums)))
        (local.set $s22 (v128.load offset=80 (local.get $sums)))
        (local.set $s30 (v128.load offset=96 (local.get $sums)))
        (local.set $s32 (v128.load offset=112 (local.get $sums)))
        (local.set $y (local.get $b))
        (loop $products
          (local.set $y01 (v128.load (local.get $y)))
          (local.set $y23 (v128.load offset=16 (local.get $y)))
          (local.set $factor (v128.load64_splat (local.get $x)))
          (local.set $s00 (f64x2.add (local.get $s00) (f64x2.mul (local.get $factor) (local.get $y01))))
          (local.set $s02 (f64x2.add (local.get $s02) (f64x2.mul (local.get $factor) (local.get $y23))))
          (local.set $factor (v128.load64_splat offset=8 (local.get $x)))
          (local.set $s10 (f64x2.add (local.get $s10) (f64x2.mul (local.get $factor) (local.get $y01))))
          (local.set $s12 (f64x2.add (local.get $s12) (f64x2.mul (local.get $factor) (local.get $y23))))
          (local.set $factor (v128.load64_splat offset=16 (local.get $x)))
          (local.set $s20 (f64x2.add (local.get $s20) (f64x2.mul (local.get $factor) (local.get $y01))))
          (local.set $s22 (f64x2.add (local.get $s22) (f64x2.mul (local.get $factor) (local.get $y23))))
          (local.set $factor (v128.load64_splat offset=24 (local.get $x)))
          (local.set $s30 (f64x2.add (local.get $s30) (f64x2.mul (local.get $factor) (local.get $y01))))
          (local.set $s32 (f64x2.add (local.get $s32) (f64x2.mul (local.get $factor) (local.get $y23))))
          (local.set $x (i32.add (local.get $x) (i32.const 32)))
          (br_if $products (i32.ne (local.tee $y (i32.add (local.get $y) (i32.const 32))) (local.get $end))))
        (v128.store (local.get $sums) (local.get $s00))
        (v128.store offset=16 (local.get $sums) (local.get $s02))
        (v128.store offset=32 (local.get $sums) (local.get $s10))
        (v128.store offset=48 (local.get $sums) (local.get $s12))
        (v128.store offset=64 (local.get $sums) (local.get $s20))
        (v128.store offset=80 (local.get $sums) (local.get $s22))
        (v128.store offset=96 (local.get $sums) (local.get $s30))
        (v128.store offset=112 (local.get $sums) (local.get $s32))
        (local.set $sums (i32.add (local.get $sums) (i32.const 128)))
        (br_if $rows (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (local.set $b (local.get $end))
      (br_if $columns (local.tee $bGroups (i32.sub (local.get $bGroups) (i32.const 1)))))))
