// matvec `left` of branches
module branches_left (
  input  wire [34:0] from_trunk_1,
  output wire [42:0] result);

  wire [4:0] trunk_1_y0_r1 = from_trunk_1[4:0];
  wire [4:0] trunk_1_y1_r1 = from_trunk_1[9:5];
  wire [4:0] trunk_1_y2_r1 = from_trunk_1[14:10];
  wire [4:0] trunk_1_y3_r1 = from_trunk_1[19:15];
  wire [4:0] trunk_1_y4_r1 = from_trunk_1[24:20];
  wire [4:0] trunk_1_y5_r1 = from_trunk_1[29:25];
  wire [4:0] trunk_1_y6_r1 = from_trunk_1[34:30];
  wire [5:0] t7 = {1'd0, trunk_1_y6_r1} - {1'd0, trunk_1_y2_r1};
  wire [6:0] t8_c = {2'd0, trunk_1_y1_r1} + {{3{t7[5]}}, t7[5:2]};
  wire [8:0] t8 = {t8_c[6:1], trunk_1_y1_r1[0] ^ t7[2], t7[1:0]};
  wire [5:0] t9_c = {2'd0, trunk_1_y5_r1[4:1]} + {1'd0, trunk_1_y6_r1};
  wire [6:0] t9 = {t9_c, trunk_1_y5_r1[0]};
  wire [8:0] t10_c = {4'd0, trunk_1_y1_r1} + t8;
  wire [8:0] t10 = {t10_c[8:1], trunk_1_y1_r1[0] ^ t8[0]};
  wire [6:0] t11_c = {2'd0, trunk_1_y3_r1} + t9;
  wire [6:0] t11 = {t11_c[6:1], trunk_1_y3_r1[0] ^ t9[0]};
  wire [6:0] t12_c = {1'd0, trunk_1_y0_r1, 1'd0} - {2'd0, trunk_1_y4_r1};
  wire [6:0] t12 = {t12_c[6:1], 1'd0 ^ trunk_1_y4_r1[0]};
  wire [4:0] t14_c = {1'd0, trunk_1_y1_r1[4:1]} + 5'd29;
  wire [5:0] t14 = {t14_c, trunk_1_y1_r1[0]};
  wire [6:0] t15_c = {t14[5], t14} - {2'd0, trunk_1_y0_r1};
  wire [6:0] t15 = {t15_c[6:1], t14[0] ^ trunk_1_y0_r1[0]};
  wire [7:0] t16_c = {t15[6], t15} - {{2{t7[5]}}, t7};
  wire [7:0] t16 = {t16_c[7:1], t15[0] ^ t7[0]};
  wire [6:0] t17_c = {2'd0, trunk_1_y0_r1} + {1'd0, t11[6:1]};
  wire [7:0] t17 = {t17_c[6:1], trunk_1_y0_r1[0] ^ t11[1], t11[0]};
  wire [8:0] t18_c = {{3{t16[7]}}, t16[7:2]} + {1'd0, t17};
  wire [10:0] t18 = {t18_c[8:1], t16[2] ^ t17[0], t16[1:0]};
  wire [7:0] t20 = 8'd210 - {3'd0, trunk_1_y5_r1};
  wire [7:0] t21_c = t8[7:0] + t20;
  wire [7:0] t21 = {t21_c[7:1], t8[0] ^ t20[0]};
  wire [5:0] t22 = {1'd0, trunk_1_y2_r1} - {1'd0, trunk_1_y0_r1};
  wire [8:0] t23_c = {t22[5], t22, 2'd0} - {2'd0, t11};
  wire [8:0] t23 = {t23_c[8:1], 1'd0 ^ t11[0]};
  wire [9:0] t24_c = {{3{t21[7]}}, t21[7:1]} + {t23[8], t23};
  wire [10:0] t24 = {t24_c[9:1], t21[1] ^ t23[0], t21[0]};
  wire [5:0] t26 = 6'd46 - {1'd0, trunk_1_y3_r1};
  wire [7:0] t27_c = {t12[6], t12} + {3'd0, t26[5:1]};
  wire [8:0] t27 = {t27_c[7:1], t12[0] ^ t26[1], t26[0]};
  wire [5:0] t28_c = {1'd0, trunk_1_y3_r1} + {1'd0, t9[6:2]};
  wire [7:0] t28 = {t28_c[5:1], trunk_1_y3_r1[0] ^ t9[2], t9[1:0]};
  wire [9:0] t29_c = {{2{t27[8]}}, t27[8:1]} + {2'd0, t28};
  wire [10:0] t29 = {t29_c[9:1], t27[1] ^ t28[0], t27[0]};
  wire [10:0] t30_c = {{2{t10[8]}}, t10} + t29;
  wire [10:0] t30 = {t30_c[10:1], t10[0] ^ t29[0]};
  wire [5:0] t32_c = {2'd0, trunk_1_y3_r1[4:1]} + 6'd25;
  wire [6:0] t32 = {t32_c, trunk_1_y3_r1[0]};
  wire [7:0] t33_c = {1'd0, t32} - {t12[6], t12};
  wire [7:0] t33 = {t33_c[7:1], t32[0] ^ t12[0]};
  wire [5:0] t34 = {1'd0, trunk_1_y3_r1} - {1'd0, trunk_1_y6_r1};
  wire [6:0] t35_c = {t33[7], t33[7:2]} + {t34[5], t34};
  wire [8:0] t35 = {t35_c[6:1], t33[2] ^ t34[0], t33[1:0]};
  wire [9:0] t36_c = {t10[8], t10} + {t35[8], t35};
  wire [9:0] t36 = {t36_c[9:1], t10[0] ^ t35[0]};
  assign result = {t36, t30, t24, t18};

endmodule
